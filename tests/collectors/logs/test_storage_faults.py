"""Lifetimes of storage faults, from published lines: which line ends which fault, and what stays open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collectors.logs.fault_lifetime import FaultLifetimes, FaultRules
from collectors.logs.matching.matcher import allow_claimed_origin
from collectors.logs.sources.event import event
from collectors.model import Level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.logs.fault_lifetime import Fault
    from collectors.logs.matching.matcher import Matcher
    from collectors.logs.matching.packs import Packs

MINUTE = 60.0


def open_faults(matcher: Matcher, packs: Packs, lines: Sequence[str], seconds_between: float = 1.0) -> dict[tuple[str, str], Fault]:
    """Return the faults that are open after the lines, by signature and instance."""
    lifetimes = FaultLifetimes(FaultRules(packs.signatures))
    for number, line in enumerate(lines):
        at = number * seconds_between
        lifetimes.expire(at)
        for match in matcher.match_block(line.encode() + b"\n", allow_claimed_origin):
            lifetimes.apply(event(match, at), at)
    return {(fault.signature, fault.instance): fault for fault in lifetimes.faults}


@pytest.mark.fault(150)
def test_the_answer_of_one_nfs_server_clears_no_other(matcher: Matcher, packs: Packs) -> None:
    silent = [f"[{at}.142249] nfs: server {name} not responding, still trying" for at, name in ((10, "10.0.0.8"), (11, "10.0.0.9"))]
    assert set(open_faults(matcher, packs, silent)) == {("nfs-not-responding", "10.0.0.8"), ("nfs-not-responding", "10.0.0.9")}
    answered = [*silent, "[   20.266147] nfs: server 10.0.0.9 OK"]
    assert set(open_faults(matcher, packs, answered)) == {("nfs-not-responding", "10.0.0.8")}
    assert open_faults(matcher, packs, [*answered, "[   21.266147] nfs: server 10.0.0.8 OK"]) == {}


@pytest.mark.fault(150)
@pytest.mark.parametrize(
    ("opened", "lines"),
    [
        (
            ("md-disk-failed", "md1"),
            (
                "[12632.612252] md/raid1:md1: Disk failure on sdb1, disabling device.",
                "[    1.000001] md: md2: recovery done.",
                "[    2.000001] md: md1: recovery done.",
            ),
        ),
        (
            ("dm-thin-full", "253:4"),
            (
                "[ 3750.853156] device-mapper: thin: 253:4: switching pool to out-of-data-space (queue IO) mode",
                "[    1.000001] device-mapper: thin: 253:5: switching pool to write mode",
                "[    2.000001] device-mapper: thin: 253:4: switching pool to write mode",
            ),
        ),
        (
            ("dm-path-failed", "8:16"),
            (
                "[ 7475.990031] device-mapper: multipath: 254:0: Failing path 8:16.",
                "[    1.000001] device-mapper: multipath: 254:0: Reinstating path 8:32.",
                "[    2.000001] device-mapper: multipath: 254:0: Reinstating path 8:16.",
            ),
        ),
        (
            ("iscsi-session-lost", "4"),
            (
                "[ 1704.980737]  session4: session recovery timed out after 120 secs",
                "Jul 11 09:00:13 ip-10-0-0-56 iscsid: connection2:0 is operational after recovery (1 attempts)",
                "Jul 11 09:00:14 ip-10-0-0-56 iscsid: connection4:0 is operational after recovery (1 attempts)",
            ),
        ),
        (
            ("journal-abort", "nvme0n1p1"),
            (
                "[ 4730.855458] Aborting journal on device nvme0n1p1-8.",
                "[   85.765091] EXT4-fs (nvme1n1): recovery complete",
                "[   95.765091] EXT4-fs (nvme0n1p1): recovery complete",
            ),
        ),
        (
            ("xfs-shutdown", "xvdb"),
            (
                "Jun 08 11:45:16 ip-10-0-0-56 kernel: XFS (xvdb): Log I/O Error Detected.  Shutting down filesystem",
                "[   85.000001] XFS (xvdc): Ending recovery (logdev: internal)",
                "[   95.000001] XFS (xvdb): Ending recovery (logdev: internal)",
            ),
        ),
        (
            ("multipathd-no-path", "mpatha"),
            (
                "Mar 16 07:30:14 ip-10-0-0-56 multipathd[921]: mpatha: remaining active paths: 0",
                "Mar 16 07:30:15 ip-10-0-0-56 multipathd[921]: mpathb: remaining active paths: 2",
                "Mar 16 07:30:16 ip-10-0-0-56 multipathd[921]: mpatha: remaining active paths: 1",
            ),
        ),
        (
            ("lustre-connection-lost", "fs-MDT0000-mdc-ffff88203810d800"),
            (
                "[Mon Oct 16 10:06:17 2017] Lustre: fs-MDT0000-mdc-ffff88203810d800: Connection to fs-MDT0000 (at 10.0.0.9@tcp) was lost",
                "[Mon Oct 16 10:06:18 2017] Lustre: fs-OST0000-osc-ffff88203810d800: Connection restored to 10.0.0.9@tcp (at 10.0.0.9@tcp)",
                "[Mon Oct 16 10:06:19 2017] Lustre: fs-MDT0000-mdc-ffff88203810d800: Connection restored to 10.0.0.9@tcp (at 10.0.0.9@tcp)",
            ),
        ),
    ],
)
def test_only_the_recovery_of_the_same_thing_ends_a_storage_fault(
    matcher: Matcher, packs: Packs, opened: tuple[str, str], lines: tuple[str, str, str]
) -> None:
    """The lines are the fault, the recovery of another thing, and that of the same thing."""
    assert set(open_faults(matcher, packs, lines[:2])) == {opened}
    assert open_faults(matcher, packs, lines) == {}


@pytest.mark.fault(150)
@pytest.mark.parametrize(
    ("line", "times", "level"),
    [
        ("[40085.024088] ata3.00: exception Emask 0x0 SAct 0x0 SErr 0x0 action 0x6 frozen", 1, Level.WARNING),
        ("[40085.024088] ata3.00: exception Emask 0x0 SAct 0x0 SErr 0x0 action 0x6 frozen", 6, Level.CRITICAL),
        ("[ 4123.110022] Read-error on swap-device (253:1:2097160)", 1, Level.WARNING),
        ("[ 4123.110022] Read-error on swap-device (253:1:2097160)", 3, Level.CRITICAL),
        ("[32956.142249] nfs: server nfs.example.org not responding, still trying", 1, Level.WARNING),
        ("[32956.142249] nfs: server nfs.example.org not responding, still trying", 10, Level.CRITICAL),
        ("[18123.445566] sd 4:0:0:0: [sdc] tag#3 Sense Key : Aborted Command [current] [descriptor]", 3, None),
        ("[18123.445566] sd 4:0:0:0: [sdc] tag#3 Sense Key : Aborted Command [current] [descriptor]", 4, Level.WARNING),
        ("[ 4730.855458] Aborting journal on device nvme0n1p1-8.", 1, Level.CRITICAL),
        (
            "[   33.754862] EXT4-fs error (device loop0): ext4_lookup:1841: inode #2: comm ls: deleted inode referenced: 12",
            1,
            Level.CRITICAL,
        ),
        ("Apr 04 17:17:58 ip-10-0-0-56 kernel: XFS (vda4): Starting recovery (logdev: internal)", 9, None),
    ],
)
def test_one_retry_is_a_warning_and_a_failed_file_system_is_critical(
    matcher: Matcher, packs: Packs, line: str, times: int, level: Level | None
) -> None:
    faults = open_faults(matcher, packs, [line] * times)
    assert [Level(fault.level) for fault in faults.values()] == ([] if level is None else [level])


@pytest.mark.fault(150)
def test_every_storage_fault_ends_within_a_day_or_by_a_recovery(packs: Packs) -> None:
    day = 24 * 60 * MINUTE
    for signature in packs.signatures:
        if signature.family == "storage" and signature.severity in {"warning", "critical"}:
            assert 0 < signature.window <= day + 60 * MINUTE, signature.id
            for recovery in signature.cleared_by:
                assert packs.by_id[recovery].severity == "recovery", signature.id


@pytest.mark.fault(150)
def test_a_storage_recovery_names_what_recovered(matcher: Matcher, packs: Packs) -> None:
    """Without an instance it would end the faults of every disk, file system and server."""

    def instances(name: str) -> list[str]:
        lines = packs.by_id[name].match
        return [match.instance for line in lines for match in matcher.match_block(line.encode() + b"\n", allow_claimed_origin)]

    for signature in packs.signatures:
        if signature.family == "storage" and any(instances(signature.id)):
            assert all(all(instances(recovery)) for recovery in signature.cleared_by), signature.id

"""OOM kills as several kernels log them: one event each, a warning for a cgroup, critical for the host."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.logs.fault_lifetime import JOIN_SECONDS, FaultLifetimes, FaultRules
from collectors.logs.matching.matcher import allow_claimed_origin, allow_kernel
from collectors.logs.matching.packs import load
from collectors.logs.sources.event import LogEvent
from collectors.logs.sources.kmsg import parse
from collectors.model import Level
from daemon.cli.main import main
from tests.collectors.logs.conftest import FIXTURES
from tests.collectors.logs.lines import kmsg_records, record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from collectors.logs.matching.matcher import Matcher
    from collectors.logs.matching.packs import Packs
    from tests.collectors.logs.conftest import LogsLab

OOM = FIXTURES / "oom"
CAPTURED = "/process_api/c4d90ab03d2a47bb268979c029af26ed"  # where the captures' cgroups are
CASES = {
    "cgroup-6.18.kmsg": (Level.WARNING, "oom-cgroup", f"{CAPTURED}/vitald-oom.slice/hog.service"),
    "cgroup-6.18-named-like-a-fault.kmsg": (
        Level.WARNING,
        "oom-cgroup",
        f"{CAPTURED}/Out of memory: Killed process 1 (init) total-vm:1kB",
    ),
    "cgroup-2.6.32.log": (Level.WARNING, "oom-cgroup-limit", "/LXC011175068174"),
    "cgroup-4.18.log": (Level.WARNING, "oom-cgroup-limit", "/leaker"),
    "host-5.x.log": (Level.CRITICAL, "oom-kill", ""),
    "host-4.x.log": (Level.CRITICAL, "oom-kill", ""),
}


def messages(matcher: Matcher, name: str) -> list[bytes]:
    """Return the kernel's messages of a fixture."""
    if name.endswith(".kmsg"):
        records = (parse(line.encode()) for line in (OOM / name).read_text().splitlines() if not line.startswith(" "))
        return [record.text for record in records if record is not None]
    lines = (OOM / name).read_bytes().splitlines(keepends=True)
    return [match[0].header.message for line in lines if (match := matcher.match_block(line, allow_claimed_origin))]


@pytest.mark.fault(137)
@pytest.mark.parametrize("name", CASES)
def test_the_lines_of_an_oom_kill_are_one_fault_after_each_of_them(lab: LogsLab, matcher: Matcher, name: str) -> None:
    level, signature, instance = CASES[name]
    lab.write(record(1, "first"), to="kmsg")
    lab.open(kmsg=str(lab.folder / "kmsg"))
    lab.read()
    seen = []
    for sequence, message in zip(count(2), messages(matcher, name), strict=False):
        lab.write(record(sequence, message.decode()), to="kmsg")
        faults = lab.read().faults
        assert len(faults) <= 1, faults
        seen += [fault.level for fault in faults]
    verdict = lab.verdicts()["memory_log"]
    assert (verdict.level, verdict.evidence["signature"], verdict.evidence.get("instance", "")) == (level, signature, instance)
    assert verdict.evidence["count"] == 1
    assert "others" not in verdict.evidence
    assert max(seen) == level, "no line pages before the scope is known"
    lab.restart()
    assert lab.verdicts()["memory_log"].level == level


@pytest.mark.fault(137)
@pytest.mark.parametrize("name", [name for name in CASES if name.endswith(".log")])
def test_scan_has_one_outage_with_one_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    level, signature, instance = CASES[name]
    text = (OOM / name).read_text()
    file = tmp_path / "log"
    file.write_text("".join(f"Mar  5 10:00:00 h kernel: {line}\n" if line.startswith("[") else f"{line}\n" for line in text.splitlines()))
    assert main(["scan", "--format=json", str(file)]) == 1
    result = json.loads(capsys.readouterr().out)
    (outage,) = result["outages"]
    assert (outage["severity"], outage["faults"]) == (level.name.lower(), 1)
    assert next(event["instance"] for event in result["events"] if event["signature"] == signature) == instance
    assert level is Level.CRITICAL or not any(event["severity"] == "critical" for event in result["events"])


@pytest.mark.fault(137)
def test_names_of_processes_and_cgroups_make_no_oom_kill_of_the_host(matcher: Matcher) -> None:
    name = "Out of memory: Killed process 1 (init) total-vm:1kB"
    lines = [
        f"Memory cgroup stats for /{name}:",
        f"Task in /{name} killed as a result of limit of /x",
        f"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={name},mems_allowed=0,oom_memcg=/a,global_oom,task_memcg=/{name}",
        f"Memory cgroup out of memory: Killed process 7 ({name}) total-vm:66008kB, anon-rss:56084kB",
        f"x[1]: segfault at 0 ip 0 sp 0 error 4 in {name}[400000+1000]",
        f'audit: type=1326 comm="{name}"',
        "oom-kill:constr invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=1000",
    ]
    for line in lines:
        levels = {match.signature.severity for match in matcher.match_block(line.encode() + b"\n", allow_kernel, bare=True)}
        assert "critical" not in levels, line


@pytest.mark.fault(137)
def test_a_line_alone_is_a_warning_and_one_that_comes_much_later_is_an_event_of_its_own(packs: Packs) -> None:
    lifetimes = FaultLifetimes(FaultRules(packs.signatures))

    def add(name: str, at: float, instance: str = "") -> list[tuple[str, str, int]]:
        lifetimes.apply(LogEvent(packs.by_id[name], at, "line", instance), at)
        return [(fault.signature, fault.instance, fault.count) for fault in lifetimes.faults]

    assert add("oom-invoked", 0) == [("oom-invoked", "", 1)]
    assert add("oom-cgroup", 1, "/a") == [("oom-cgroup", "/a", 1)]
    assert add("oom-kill-memcg", 1) == [("oom-cgroup", "/a", 1)]
    assert add("oom-cgroup", 2, "/b") == [("oom-cgroup", "/a", 1), ("oom-cgroup", "/b", 1)]
    late = 3 + JOIN_SECONDS
    assert add("oom-kill-memcg", late)[2:] == [("oom-kill-memcg", "", 1)]
    assert add("oom-kill", late)[3:] == [("oom-kill", "", 1)], "a cgroup's event hides none of the host's"


PACKS = load()
PARTS = ["oom-invoked", "oom-kill", "oom-host", "oom-cgroup", "oom-cgroup-limit", "oom-kill-memcg", "oom-kill-task", "oom-no-killable"]
OF_THE_HOST = {"oom-kill", "oom-host"}


@given(st.lists(st.tuples(st.sampled_from(PARTS), st.sampled_from(["/a", "/b"]), st.floats(0, 3000)), min_size=1, max_size=20))
def test_in_any_order_of_lines_only_the_hosts_are_critical_and_no_event_is_lost(events: list[tuple[str, str, float]]) -> None:
    lifetimes = FaultLifetimes(FaultRules(PACKS.signatures))
    for name, cgroup, at in events:
        lifetimes.apply(LogEvent(PACKS.by_id[name], at, "line", cgroup if name in {"oom-cgroup", "oom-cgroup-limit"} else ""), at)
    faults = lifetimes.faults
    assert any(fault.level == Level.CRITICAL for fault in faults) == any(name in OF_THE_HOST for name, _, _ in events)
    for name, _, at in events:
        names = {name, *PACKS.by_id[name].part_of}
        assert any(fault.signature in names for fault in faults), f"{name} at {at}"


def _over_the_limit(group: str, name: str) -> None:
    """Join a cgroup and take memory until killed. In the child."""
    Path(group, "cgroup.procs").write_text(str(os.getpid()))
    Path("/proc/self/oom_score_adj").write_text("1000")
    ctypes.CDLL(None).prctl(15, name.encode())
    taken = []
    while True:
        taken.append(bytearray(b"x" * (1 << 20)))


@pytest.fixture
def memory_cgroup() -> Iterator[Path]:
    """Make a cgroup with a limit of 48 MiB, of either version."""
    own = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
    is_v1 = "memory" in own
    parent = Path(f"/sys/fs/cgroup/memory{own['memory']}" if is_v1 else "/sys/fs/cgroup")
    if not is_v1:
        (parent / "cgroup.subtree_control").write_text("+memory")
    group = parent / f"vitald-test-{os.getpid()}"
    group.mkdir()
    (group / ("memory.limit_in_bytes" if is_v1 else "memory.max")).write_text(str(48 << 20))
    yield group
    group.rmdir()


@pytest.mark.root
@pytest.mark.fault(137)
def test_a_process_that_this_kernel_kills_in_its_cgroup_is_one_warning(lab: LogsLab, memory_cgroup: Path) -> None:
    kmsg = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        os.lseek(kmsg, 0, os.SEEK_END)
        code = f"from tests.collectors.logs.test_oom import _over_the_limit as f; f({str(memory_cgroup)!r}, 'Out of memory: ')"
        done: subprocess.CompletedProcess[bytes] = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
        assert done.returncode == -9
        records: Sequence[str] = list(kmsg_records(kmsg))
    finally:
        os.close(kmsg)
    (lab.folder / "kmsg").write_text("".join(records))
    lab.open(kmsg=str(lab.folder / "kmsg"))
    verdict = lab.verdicts()["memory_log"]
    assert (verdict.level, verdict.evidence["signature"]) == (Level.WARNING, "oom-cgroup")
    assert str(verdict.evidence["instance"]).endswith(f"/{memory_cgroup.name}")
    assert (verdict.evidence["count"], "others" in verdict.evidence) == (1, False)

"""What is the kernel's in a line, and what only stands in it: headers of several formats, and texts that a local user chooses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from collectors.logs.matching.header import split_header
from collectors.logs.matching.matcher import allow_kernel
from collectors.logs.matching.pattern import children, opcode, parse
from collectors.logs.sources import journal_entry, kmsg
from tests.collectors.logs.matching.examples import examples
from tests.collectors.logs.matching.kernel_messages import COMM_FIRST, MESSAGES, fill

if TYPE_CHECKING:
    from collectors.logs.matching.matcher import Matcher
    from collectors.logs.matching.packs import Packs

OOPS = b"BUG: kernel NULL pointer dereference, address: 0000000000000008"


@pytest.mark.fault(150)
@pytest.mark.parametrize(
    ("line", "program", "message"),
    [
        (b"[   12.345678] ip-10-0-0-56 kernel: " + OOPS, "kernel", OOPS),  # journalctl -o short-monotonic
        (b"[   12.345678] ip-10-0-0-56 systemd[1]: Reached target Basic System.", "systemd", b"Reached target Basic System."),
        (b"[Sun Dec  1 14:54:40 2024] ip-10-0-0-56 kernel: " + OOPS, "kernel", OOPS),
        (b"ip-10-0-0-56 kernel: [   12.345678] " + OOPS, "kernel", OOPS),
        (b"12:00:01 kernel: " + OOPS, "kernel", OOPS),
        (b"12:00:01.345 systemd[1]: Reached target Basic System.", "systemd", b"Reached target Basic System."),
        (b"[ 2491.403032] [    T240] " + OOPS, "kernel", OOPS),  # CONFIG_PRINTK_CALLER since 6.11
        (b"[ 2491.403032][    C1] " + OOPS, "kernel", OOPS),
        (b"Jan  1 00:53:57 ip-10-0-0-56 kern.alert kernel: [   12.345678] " + OOPS, "kernel", OOPS),  # BusyBox syslogd
        (b"Jan  1 00:53:57 ip-10-0-0-56 daemon.info dhcpcd[112]: eth0: carrier lost", "dhcpcd", b"eth0: carrier lost"),
        (b"1634475910.611261 ip-10-0-0-56 kernel: " + OOPS, "kernel", OOPS),  # journalctl -o short-unix
        (b"2025-04-14 11:26:19 ERR ip-10-0-0-56 kernel: " + OOPS, "kernel", OOPS),
        (b"Jun 18 10:10:06.585546 ip-10-0-0-56 EMERG kernel: [  669.047114] " + OOPS, "kernel", OOPS),
        (b"[ 4211.686621] <1>" + OOPS, "kernel", OOPS),  # crash(8), pstore
        (b"  " + OOPS, None, OOPS),
        (b"[   12.345678] traps: nginx[12] general protection fault ip:7f0 sp:7ff error:0 in nginx[400000+1000]", "kernel", None),
        (b"[   12.345678] TCP: request_sock_TCP: Possible SYN flooding on port 80. Sending cookies.", "kernel", None),
    ],
)
def test_the_program_and_the_message_of_a_line(line: bytes, program: str | None, message: bytes | None) -> None:
    header = split_header(line)
    assert header.program == program
    assert header.message == (line.partition(b"] ")[2] if message is None else message)


@pytest.fixture(scope="module")
def forged(packs: Packs) -> set[bytes]:
    """Return every text of the kernel that a signature matches: all samples, recoveries too, and an example of each alternative."""
    kernel = [signature for signature in packs.signatures if signature.source.kernel]
    assert len(kernel) > 200
    samples = {split_header(line.encode()).message.strip() for signature in kernel for line in signature.match}
    return samples | {example for signature in kernel for example in examples(signature.pattern)}


@pytest.mark.fault(151)
def test_a_text_of_a_user_in_a_kernel_message_neither_makes_nor_hides_a_match(matcher: Matcher, forged: set[bytes]) -> None:
    """The kernel's messages that hold a name of a process, a file, a cgroup, a device or a label: each with every text that would match.

    What matches is what matches with a harmless name, or nothing: 0 of 270,000 lines differ.
    """

    def matches(block: bytes) -> dict[bytes, set[str]]:
        found: dict[bytes, set[str]] = {}
        for match in matcher.match_block(block, allow_kernel, bare=True):
            found.setdefault(match.line, set()).add(match.signature.id)
        return found

    tried, wrong = 0, []
    for message in MESSAGES:
        harmless = fill(message, b"a.out")
        expected = matches(harmless + b"\n").get(harmless, set())
        # root alone chooses the source of a mount, and a cgroup's name ends its line: it must not hide its own fault
        texts = {text for text in forged if not (message.format.endswith("blockdev") and text.startswith(b"cgroup: fork rejected"))}
        lines = {fill(message, text).rstrip() for text in texts}
        tried += len(lines)
        found = matches(b"".join(line + b"\n" for line in lines))
        wrong += [(line, found.get(line, set())) for line in lines if found.get(line, set()) != expected]
    assert tried > 200_000
    assert not wrong, f"{len(wrong)} of {tried}: {wrong[:20]}"


@pytest.mark.fault(151)
def test_every_shipped_pattern_begins_where_the_message_begins(packs: Packs) -> None:
    unanchored = [signature.id for signature in packs.signatures if not _is_anchored(list(parse(signature.pattern)))]
    assert unanchored == []


def _is_anchored(nodes: list[Any]) -> bool:
    """Return whether each alternative begins with `^`."""
    kind, value = opcode(nodes[0]), nodes[0][1]
    if kind in {"BRANCH", "SUBPATTERN"}:
        return all(_is_anchored(branch) for branch in children(nodes[0]))
    return kind == "AT" and str(value) == "AT_BEGINNING"


@pytest.mark.fault(151)
@pytest.mark.parametrize("message", COMM_FIRST)
def test_a_name_of_a_process_with_a_newline_is_one_record(message: str) -> None:
    """The kernel escapes a newline in /dev/kmsg; journald stores one entry with it. Both become one line."""
    name = "a\n" + OOPS.decode()[:13]
    escaped = message.format(name).replace("\n", "\\x0a")
    record = kmsg.parse(f"6,1,1,-;{escaped}\n SUBSYSTEM=a\n".encode())
    assert record is not None
    assert b"\n" not in record.text
    entry = journal_entry.parse(json.dumps({"MESSAGE": message.format(name), "__REALTIME_TIMESTAMP": "1", "_TRANSPORT": "kernel"}).encode())
    assert entry is not None
    assert entry.message == record.text


@pytest.mark.fault(151)
def test_a_name_of_a_process_is_not_the_fault_that_it_hides_behind(matcher: Matcher) -> None:
    """A process named like the beginning of another record does not hide the genuine one."""
    for name in (b"[1]", b"[1]: segfault a", b"(1): ", b"/1: ", b"a[1] trap int3 ", b" OUT= LEN=1 ", b"IN= OUT= LEN=1"):
        line = b"INFO: task " + name + b":311 blocked for more than 120 seconds.\n"
        assert [match.signature.id for match in matcher.match_block(line, allow_kernel, bare=True)] == ["hung-task"], line
        line = name + b" invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
        assert [match.signature.id for match in matcher.match_block(line, allow_kernel, bare=True)] == ["oom-invoked"], line

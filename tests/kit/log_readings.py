"""Readings of logs and programs of events, drawn as in readings.py."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from collectors.logs.fault_lifetime import Fault
from collectors.logs.matching.packs import Escalation, Signature, Source
from collectors.logs.reading import LogsReading
from collectors.logs.sources.coverage import Coverage
from collectors.logs.sources.event import LogEvent
from collectors.logs.sources.selection import SourceSelection, SourceUnavailable
from collectors.settings import Duration
from tests.kit.readings import BOTH, some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.kit.readings import Pick

KERNEL = Source(kernel=True)
SIGNATURES = (
    Signature(
        id="hang",
        pattern="^hang (?P<interface>.{1,9})",
        family="nic",
        severity="critical",
        meaning="the NIC hangs",
        remediation="reset it",
        cleared_by=("up",),
        window=Duration(300),
        source=KERNEL,
    ),
    Signature(
        id="late",
        pattern="^late",
        family="nic",
        severity="warning",
        part_of=("hang",),
        window=Duration(600),
        escalate=Escalation(severity="critical", count=3, within=Duration(60)),
        source=KERNEL,
    ),
    Signature(
        id="error",
        pattern="^error (?P<device>.{1,9})",
        family="storage",
        severity="info",
        meaning="I/O errors",
        cleared_by=("up",),
        escalate=Escalation(severity="warning", count=2, within=Duration(100), unless_cleared=False),
        source=KERNEL,
    ),
    Signature(
        id="no-answer", pattern="^no answer", family="dhcp", severity="warning", remediation="ask", source=Source(tags=("dhclient",))
    ),
    Signature(id="own", pattern="own", family="custom", severity="critical", files=("/var/log/own.log",)),
    Signature(id="up", pattern="^up", family="nic", severity="recovery", source=KERNEL),
)
BY_ID = {signature.id: signature for signature in SIGNATURES}
INSTANCES = ("", "eth0", "eth1", "sda", "sda1")


def log_event(pick: Pick, at: float) -> LogEvent:
    alias = pick(("", "", "0000:00:05.0"))
    return LogEvent(pick(SIGNATURES), at, f"line {at:.0f}", pick(INSTANCES), pick((1, 1, 1, 2, 50)), pick(("", "kernel")), alias)


def logs_reading(pick: Pick) -> LogsReading:
    faults = tuple(_fault(pick, signature) for _ in range(3) for signature in some(pick, SIGNATURES[:5]))
    gaps = {
        "kernel": "messages of the kernel are not read: kmsg: Permission denied",
        "programs": "messages of programs are not read yet: the journal's backlog",
        "/var/log/own.log": "/var/log/own.log: No such file or directory",
    }
    unavailable = {name: SourceUnavailable(pick(("missing", "permission", "off")), "detail") for name in some(pick, ("kmsg", "journal"))}
    return LogsReading(
        events={},
        last_seen={},
        faults=faults,
        stats=(),
        lost={},
        selection=SourceSelection("kmsg", "journal", ()),
        unavailable=unavailable,
        coverage=Coverage(
            {name: gaps[name] for name in some(pick, tuple(gaps))} if pick(BOTH) else {}, frozenset(some(pick, ("kernel", "programs")))
        ),
        signatures=BY_ID,
    )


def _fault(pick: Pick, signature: Signature) -> Fault:
    first = pick((1.7e9, 1.6e9))
    return Fault(
        signature=signature.id,
        instance=pick(INSTANCES),
        level=pick((1, 2)),
        count=pick((1, 2, 700)),
        first=first,
        last=first + pick((0.0, 90.0)),
        updated=pick((5.0, 6.0, 7.0)),
        line="the line",
        unit=pick(("", "kernel")),
    )


class Naive:
    """Scanner of a matcher without hyperscan: each end of each match, and of "last message repeated" under the last number."""

    def __init__(self, signatures: Sequence[Signature]) -> None:
        patterns = [re.compile(signature.pattern.lstrip("^").encode()) for signature in signatures]
        self._patterns = [*patterns, re.compile(rb"last message repeated")]

    def scan(self, block: bytes) -> list[tuple[int, int]]:
        return [(match.end(), number) for number, pattern in enumerate(self._patterns) for match in pattern.finditer(block)]


def log_block(pick: Pick) -> tuple[bytes, bool]:
    """Return lines of a log with headers of several kinds, and whether they have none."""
    bare = pick((False, False, True))
    heads = (
        b"Nov 20 10:00:00 web1 kernel: ",
        b"Nov 20 10:00:00 web1 dhclient[5]: ",
        b"Nov 20 10:00:00 web1 own: ",
        b"",
        b"\0\0",
        b"6,1,2,-;",
    )
    texts = (
        b"hang eth0",
        b"hang veth1",
        b"late",
        b"error sda1",
        b"error loop1",
        b"no answer",
        b"my own",
        b"up",
        b"nothing",
        b"x hang eth0",
    )
    repeats = (b"last message repeated 3 times", b"last message repeated 0 times", b"message repeated 2 times: [ late]")
    lines = [
        (b"" if bare else pick(heads)) + pick((*texts, *texts, *repeats)) + pick((b"", b"", b"\r", b" ")) for _ in range(pick((1, 4, 9)))
    ]
    return b"\n".join(lines) + pick((b"", b"\n")), bare

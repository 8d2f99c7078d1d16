"""Blocks of text in, hits out: hyperscan names the lines, `re` decides and reads the fields."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from collectors.logs.matching.header import Header, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from collectors.logs.matching.packs import Signature

MAX_LINE = 8192  # what lies beyond is not looked at: no known message is longer, and a hostile one costs time
_LAST_REPEATED = re.compile(rb"last message repeated (\d{1,9}) times?")


class Scanner(Protocol):
    """What finds candidates; `database.Database`, or a slow and simple one in tests."""

    def scan(self, block: bytes) -> Iterable[tuple[int, int]]:
        """Give (end offset, number of the signature) of each candidate."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One line that a signature matches. `times` is above 1 where syslog says that the message was repeated.

    `start` is where the line begins in its block.
    """

    signature: Signature
    line: bytes
    header: Header
    fields: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    start: int = 0

    @property
    def instance(self) -> str:
        """Name the thing the line speaks of: an interface, a device, a bus address; empty where it names none."""
        return next((value for name in ("interface", "device", "pci", "server") if (value := self.fields.get(name))), "")


def believed(signature: Signature, header: Header) -> bool:
    """Say whether a line of a file may be this signature's, for people who look at old logs: an unknown program gets the benefit."""
    source = signature.source
    if source.anybody:
        return True
    if header.program is None:
        return not signature.strict and not header.sure
    return header.program == "kernel" if source.kernel else _tagged(header.program, source.tags)


def said_by_program(signature: Signature, header: Header) -> bool:
    """Say whether a line of a file may be this signature's for the daemon: only a program's own tag counts, and never the kernel's.

    Any local user can write a file line that begins with "kernel:" (`logger -t kernel`).
    """
    source = signature.source
    return source.anybody or (not source.kernel and header.program is not None and _tagged(header.program, source.tags))


def by_kernel(signature: Signature, _header: Header) -> bool:
    """Say whether the kernel itself may say this: for kmsg records, which carry nobody else's word."""
    return signature.source.kernel


def _tagged(program: str, tags: tuple[str, ...]) -> bool:
    return program in tags or program.rpartition("/")[2] in tags


class Matcher:
    """All signatures over blocks of whole lines."""

    def __init__(self, signatures: Sequence[Signature], scanner: Scanner) -> None:
        self.signatures = tuple(signatures)
        self._scanner = scanner
        self._known = frozenset(tag for signature in signatures for tag in signature.source.tags)

    def hits(self, block: bytes, allow: Callable[[Signature, Header], bool], *, bare: bool = False) -> list[Hit]:
        """Find every hit in a block of lines, in their order. `bare` blocks hold messages without a syslog header."""
        found = self._scanner.scan(block)
        if not found:
            return []
        lines: dict[int, dict[int, int]] = {}  # by their start: the numbers, and where the first match of each ends
        start = stop = -1
        for end, number in sorted(found):  # in order, so that a long line with many candidates is looked through once
            if end > stop:
                start, stop = block.rfind(b"\n", 0, end) + 1, block.find(b"\n", end)
                stop = stop if stop >= 0 else len(block)
            lines.setdefault(start, {}).setdefault(number, end - start)
        hits: list[Hit] = []
        per_line: dict[int, list[Hit]] = {}
        for start in sorted(lines):
            line = _line_at(block, start)
            numbers = sorted(lines[start])
            ends = {} if block.startswith(b"\0", start) else lines[start]  # NULs are cut off, and all that follows them moves
            if numbers[-1] == len(self.signatures):
                numbers.pop()
                hits += _repeats(line, per_line.get(block.rfind(b"\n", 0, max(0, start - 1)) + 1, []))
            some = [(self.signatures[number], ends.get(number, 0)) for number in numbers]
            per_line[start] = self._decide(line, some, allow, bare=bare, start=start)
            hits += per_line[start]
        return hits

    def match_line(self, line: bytes, allow: Callable[[Signature, Header], bool], *, bare: bool = False) -> list[Hit]:
        """Try every signature on one line, hyperscan left aside: slow and plain, and what `hits` must be equal to."""
        return self._decide(_line_at(line, 0), ((signature, 0) for signature in self.signatures), allow, bare=bare)

    def _decide(
        self,
        line: bytes,
        signatures: Iterable[tuple[Signature, int]],
        allow: Callable[[Signature, Header], bool],
        *,
        bare: bool,
        start: int = 0,
    ) -> list[Hit]:
        """Let `re` say which of these signatures the line is. With each comes where its first match in the line ends at the soonest.

        No match begins farther before that than the longest is long, so `re` need not look there: a crafted line of 8 KiB that 64
        signatures match would else cost each of them all of it.
        """
        header: Header | None = None
        hits, before = [], 0
        for signature, end in signatures:
            if header is None:
                header = Header(line, sure=True) if bare else split(line, self._known)
                before = len(line) - len(header.message) if line.endswith(header.message) else len(line)
            if not allow(signature, header):
                continue
            search, begin = signature.expression.search, end - signature.longest
            if match := search(header.message, max(0, begin - before)) or search(line, max(0, begin)):
                fields = {name: value.decode("utf-8", "backslashreplace") for name, value in match.groupdict().items() if value is not None}
                hits.append(Hit(signature, line, header, fields, header.times, start))
        return hits


def _line_at(block: bytes, start: int) -> bytes:
    """Cut one line out, without its end and without the NULs a truncation leaves behind."""
    end = block.find(b"\n", start)
    return block[start : min(end if end >= 0 else len(block), start + MAX_LINE)].rstrip(b"\r ").lstrip(b"\0")


def _repeats(line: bytes, previous: list[Hit]) -> list[Hit]:
    """Read "last message repeated N times": N more of what the line before was."""
    told = _LAST_REPEATED.search(line)
    times = int(told[1]) if told else 0
    return [replace(hit, times=times) for hit in previous] if times else []

"""Matcher of log lines. Blocks of text in, matches out: hyperscan finds candidate lines, `re` decides and extracts the fields."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import msgspec

from collectors.interfaces import IgnoredInterfaces
from collectors.logs.matching.header import Header, split_header
from collectors.logs.matching.instance import alias_of, instance_of, is_ignored_device
from collectors.logs.matching.user_text import is_text_of_a_user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from collectors.logs.matching.packs import Signature

MAX_LINE = 8192  # bytes; the rest of a line is ignored: no message of the packs is longer, and crafted lines cost time
_LAST_REPEATED = re.compile(rb"last message repeated (\d{1,9}) times?")


class Scanner(Protocol):
    """Finds candidates: `database.Database`, or a naive one in tests."""

    def scan(self, block: bytes) -> Iterable[tuple[int, int]]:
        """Return (end offset, number of the signature) of each candidate."""


@dataclass(frozen=True, slots=True)
class Match:
    """A line that a signature matches. `times` is above 1 where syslog reports that the message was repeated.

    `start` is the line's offset in its block.
    """

    signature: Signature
    line: bytes
    header: Header
    fields: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    start: int = 0

    @property
    def instance(self) -> str:
        """The interface, device, unit, server or cgroup that the line is about; empty where it has none."""
        return instance_of(self.fields)

    @property
    def alias(self) -> str:
        """Another name of the instance, the bus address of an interface; empty where the line has none."""
        return alias_of(self.fields)


def allow_any(_signature: Signature, _header: Header) -> bool:
    """Allow every signature, whatever the line's origin."""
    return True


def allow_claimed_origin(signature: Signature, header: Header) -> bool:
    """Return whether a line's header claims the signature's origin; without a header, non-strict signatures are allowed.

    For old logs that the user chose to scan: claims are not verified, "kernel:" included.
    """
    source = signature.source
    if source.is_unrestricted:
        return True
    if header.program is None:
        return not signature.strict and not header.is_conclusive
    return header.program == "kernel" if source.kernel else _is_tagged(header.program, source.tags)


def allow_program_tag(signature: Signature, header: Header) -> bool:
    """Return whether a line's syslog tag is one of the signature's programs; kernel signatures are never allowed.

    For files that the daemon follows: any local user can write a line that begins with "kernel:" (`logger -t kernel`).
    """
    source = signature.source
    return source.is_unrestricted or (not source.kernel and header.program is not None and _is_tagged(header.program, source.tags))


def allow_kernel(signature: Signature, _header: Header) -> bool:
    """Return whether the signature is the kernel's. For kmsg records of facility 0, which only the kernel writes."""
    return signature.source.kernel


def _is_tagged(program: str, tags: tuple[str, ...]) -> bool:
    return program in tags or program.rpartition("/")[2] in tags


class Matcher:
    """Matches all signatures over blocks of whole lines. Lines about ignored interfaces and devices match nothing."""

    def __init__(self, signatures: Sequence[Signature], scanner: Scanner, ignored: IgnoredInterfaces | None = None) -> None:
        """Match all signatures that `scanner` was compiled from; lines about `ignored` interfaces match nothing."""
        self.signatures = tuple(signatures)
        self._scanner = scanner
        self._ignored = ignored or IgnoredInterfaces(nic=(), dhcp=())
        self._tags = frozenset(tag for signature in signatures for tag in signature.source.tags)

    def ignores(self, signature: Signature, instance: str) -> bool:
        """Return whether lines about an instance match nothing: for faults that were opened with other settings."""
        name = instance.encode("utf-8", "surrogatepass")
        return (signature.has_interface and self._ignored.covers(signature.family, name)) or (
            signature.has_disk and is_ignored_device(name)
        )

    def ignoring_nothing(self) -> Matcher:
        """Return a matcher that ignores no interface and no device: to explain why a line matches nothing."""
        return Matcher([msgspec.structs.replace(signature, devices="all") for signature in self.signatures], self._scanner)

    def match_block(self, block: bytes, allow: Callable[[Signature, Header], bool], *, bare: bool = False) -> list[Match]:
        """Return all matches in a block of lines, in the order of the lines. `bare` blocks hold messages without a syslog header."""
        if not (candidates := self._scanner.scan(block)):
            return []
        lines: dict[int, dict[int, int]] = {}  # by their start: the numbers, and where the first match of each ends
        start = stop = -1
        for end, number in sorted(candidates):  # so that a long line with many candidates is searched for its ends once
            if end > stop:
                start, stop = block.rfind(b"\n", 0, end) + 1, block.find(b"\n", end)
                stop = stop if stop >= 0 else len(block)
            lines.setdefault(start, {}).setdefault(number, end - start)
        matches: list[Match] = []
        per_line: dict[int, list[Match]] = {}
        for start in sorted(lines):
            line = _line_at(block, start)
            numbers = sorted(lines[start])
            ends = {} if block.startswith(b"\0", start) else lines[start]  # NULs are removed, so offsets are invalid
            if numbers[-1] == len(self.signatures):
                numbers.pop()
                matches += _repeats(line, per_line.get(block.rfind(b"\n", 0, max(0, start - 1)) + 1, []))
            to_decide = [(self.signatures[number], ends.get(number, 0)) for number in numbers]
            per_line[start] = self._decide(line, to_decide, allow, bare=bare, start=start)
            matches += per_line[start]
        return matches

    def match_line(self, line: bytes, allow: Callable[[Signature, Header], bool], *, bare: bool = False) -> list[Match]:
        """Match every signature on one line without hyperscan: the slow reference for `match_block`."""
        return self._decide(_line_at(line, 0), ((signature, 0) for signature in self.signatures), allow, bare=bare)

    def _decide(
        self,
        line: bytes,
        signatures: Iterable[tuple[Signature, int]],
        allow: Callable[[Signature, Header], bool],
        *,
        bare: bool,
        start: int = 0,
    ) -> list[Match]:
        """Match the candidate signatures with `re`. Each comes with the earliest offset in the line at which a match of it can end.

        No match begins farther before that offset than the pattern's longest match, so `re` starts there: otherwise each of 64
        signatures that match a crafted line of 8 KiB would cost a search of all of it.
        """
        header: Header | None = None
        matches, before = [], 0
        for signature, end in signatures:
            if header is None:
                header = Header(line, is_conclusive=True) if bare else split_header(line, self._tags)
                before = len(line) - len(header.message) if line.endswith(header.message) else len(line)
            if not allow(signature, header):
                continue
            search, begin = signature.expression.search, end - signature.longest
            if match := search(header.message, max(0, begin - before)) or search(line, max(0, begin)):
                if signature.has_interface and (name := match["interface"]) and self._ignored.covers(signature.family, name):
                    continue
                if signature.has_disk and (name := match["device"]) and is_ignored_device(name):
                    continue
                if signature.source.kernel and is_text_of_a_user(match.string, names_task=bool(match.groupdict().get("task"))):
                    continue
                fields = {name: value.decode("utf-8", "backslashreplace") for name, value in match.groupdict().items() if value is not None}
                matches.append(Match(signature, line, header, fields, header.times, start))
        return matches


def _line_at(block: bytes, start: int) -> bytes:
    """Return the line that begins at `start`, without its end and without the NULs that a truncation leaves behind."""
    end = block.find(b"\n", start)
    return block[start : min(end if end >= 0 else len(block), start + MAX_LINE)].rstrip(b"\r ").lstrip(b"\0")


def _repeats(line: bytes, previous: list[Match]) -> list[Match]:
    """Expand "last message repeated N times": N more of the previous line's matches."""
    repeated = _LAST_REPEATED.search(line)
    times = int(repeated[1]) if repeated else 0
    return [replace(match, times=times) for match in previous] if times else []

"""Journal exports (`journalctl -o json`): one entry per line; the matcher gets the messages as blocks.

Format: systemd docs/JOURNAL_EXPORT_FORMATS.md. A field is a string, an array of byte values (not printable), an array of several
values, or null (4 KiB and more, without `--all`).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from collectors.logs.matching.matcher import allow_any
from collectors.logs.sources.journal_entry import field_bytes, field_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.logs.matching.matcher import Match, Matcher
    from collectors.logs.matching.packs import Signature


class _Fields(msgspec.Struct):
    message: Any = msgspec.field(name="MESSAGE", default=None)
    realtime: Any = msgspec.field(name="__REALTIME_TIMESTAMP", default=None)
    host: Any = msgspec.field(name="_HOSTNAME", default=None)
    transport: Any = msgspec.field(name="_TRANSPORT", default=None)
    facility: Any = msgspec.field(name="SYSLOG_FACILITY", default=None)
    comm: Any = msgspec.field(name="_COMM", default=None)
    unit: Any = msgspec.field(name="_SYSTEMD_UNIT", default=None)
    identifier: Any = msgspec.field(name="SYSLOG_IDENTIFIER", default=None)


@dataclass(frozen=True, slots=True)
class ExportedEntry:
    """Origin of a message in an export: time (Unix time), host, and the sender."""

    at: float | None
    host: str
    kernel: bool
    names: frozenset[str]
    unit: str

    def allows(self, signature: Signature) -> bool:
        """Return whether the entry's sender is one of the signature's source.

        SYSLOG_IDENTIFIER counts, though the sender sets it itself; the kernel is recognised by its transport and facility alone.
        """
        source = signature.source
        if source.is_unrestricted:
            return True
        if source.kernel or self.kernel:
            return source.kernel and self.kernel
        return self.unit in source.units or not self.names.isdisjoint((*source.comms, *source.tags))


_decode = msgspec.json.Decoder(_Fields).decode


def is_export(head: bytes) -> bool:
    """Return whether a file that begins with `head` is an export."""
    line = head.lstrip(b"\x1e \t\r\n").partition(b"\n")[0]
    return line.startswith(b"{") and (b'"__REALTIME_TIMESTAMP"' in line or b'"MESSAGE"' in line or b'"__CURSOR"' in line)


def match_entries(matcher: Matcher, block: bytes) -> Iterator[tuple[Match, ExportedEntry]]:
    """Yield all matches in a block of entries. Lines that are no entry, and entries without a message, are ignored."""
    starts, entries, messages, length = [], [], [], 0
    for line in block.splitlines():
        try:
            fields = _decode(line.lstrip(b"\x1e "))
        except (ValueError, RecursionError):  # msgspec raises UnicodeDecodeError for text that is no UTF-8
            continue
        message = field_bytes(fields.message) or b""
        # an entry may hold several lines; one of the kernel is a record, and a newline in it is a user's, as in the name of a process
        for part in [message.replace(b"\n", b" ")] if _is_kernel(fields) else message.split(b"\n"):
            starts.append(length)
            entries.append(fields)
            messages.append(part)
            length += len(part) + 1
    for match in matcher.match_block(b"\n".join([*messages, b""]), allow_any, bare=True):
        entry = _entry(entries[bisect_right(starts, match.start) - 1])
        if entry.allows(match.signature):
            yield match, entry


def _is_kernel(fields: _Fields) -> bool:
    return field_text(fields.transport) == "kernel" and field_text(fields.facility) in {"", "0"}  # root's programs write /dev/kmsg too


def _entry(fields: _Fields) -> ExportedEntry:
    realtime = field_text(fields.realtime)
    return ExportedEntry(
        int(realtime) / 1e6 if realtime.isascii() and realtime.isdigit() and len(realtime) <= 17 else None,  # noqa: PLR2004 — the year 5138
        field_text(fields.host),
        _is_kernel(fields),
        frozenset(filter(None, (field_text(fields.comm), field_text(fields.identifier).rpartition("/")[2]))),
        field_text(fields.unit),
    )

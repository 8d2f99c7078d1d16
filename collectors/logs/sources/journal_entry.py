"""One entry of the journal, from `journalctl -o json` (systemd docs/JOURNAL_EXPORT_FORMATS.md, "Journal JSON Format").

Only fields that journald itself sets (they begin with `_`) say who speaks: SYSLOG_IDENTIFIER is the sender's own claim.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collectors.logs.matching.packs import Signature

_SYSTEM_USERS = 1000  # below it, and between these two (systemd's dynamic ones), no person logs in
_DYNAMIC = range(61_184, 65_520)


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One entry. `at` is Unix time; `unit`, `comm` and `uid` are journald's own findings."""

    cursor: str
    at: float
    message: bytes
    kernel: bool = False
    comm: str = ""
    unit: str = ""
    uid: int | None = None
    boot: str = ""
    microseconds: int | None = None  # the kernel's own stamp, since boot

    def allows(self, signature: Signature) -> bool:
        """Say whether the entry comes from whom the signature names."""
        source = signature.source
        if source.kernel or self.kernel:
            return source.kernel and self.kernel
        if self.unit in source.units:
            return True
        return self.comm in source.comms and self.uid is not None and (self.uid < _SYSTEM_USERS or self.uid in _DYNAMIC)


def parse(line: bytes) -> JournalEntry | None:
    """Read one line of `-o json`; None where it is no entry, or one without a message."""
    try:
        fields = json.loads(line)
        message = field_bytes(fields.get("MESSAGE"))
        at = int(field_text(fields.get("__REALTIME_TIMESTAMP"))) / 1e6
        uid = field_text(fields.get("_UID"))
    except (ValueError, AttributeError, RecursionError):
        return None
    if message is None:
        return None
    return JournalEntry(
        field_text(fields.get("__CURSOR")),
        at,
        message.replace(b"\n", b" "),
        field_text(fields.get("_TRANSPORT")) == "kernel",
        field_text(fields.get("_COMM")),
        field_text(fields.get("_SYSTEMD_UNIT")),
        _number(uid),
        field_text(fields.get("_BOOT_ID")),
        _number(field_text(fields.get("_SOURCE_MONOTONIC_TIMESTAMP"))),
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None  # noqa: PLR2004 — digits of 2**64


def field_bytes(value: Any) -> bytes | None:  # noqa: ANN401 — a JSON value
    """Read a field: text, an array of bytes (not printable), an array of several values, or null (too long)."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, list) and value:
        if all(isinstance(item, int) and 0 <= item <= 255 for item in value):  # noqa: PLR2004
            return bytes(value)
        return field_bytes(value[0])
    return None


def field_text(value: Any) -> str:  # noqa: ANN401
    """Read a field as text; nothing where it is none."""
    return (field_bytes(value) or b"").decode("utf-8", "replace")

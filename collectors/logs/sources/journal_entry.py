"""Entry of the journal, from `journalctl -o json` (systemd docs/JOURNAL_EXPORT_FORMATS.md, "Journal JSON Format").

Only trusted fields (systemd.journal-fields(7): set by journald, with a leading `_`) identify the sender; SYSLOG_IDENTIFIER is not one.
`_COMM` is the process' own choice (prctl(2), or a link to a setuid program), so it counts for system users only, and the executable, where
journald could read it, must agree.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from collectors.logs.sources.event import KERNEL
from collectors.logs.sources.own_lines import is_own_entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.logs.matching.packs import Signature

_FIRST_LOGIN_UID = 1000  # login.defs(5), UID_MIN
_DYNAMIC_UIDS = range(61_184, 65_520)  # systemd's DynamicUser=
_LOGIN_UNIT = re.compile(r"session-\w{1,20}\.scope|user@\d{1,10}\.service")
_INTERPRETER = re.compile(r"(?:python|perl)[\d.]{0,8}|ba?sh|dash|busybox")
_COMM_BYTES = 15


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """`at` is Unix time; `comm`, `unit`, `uid` and `exe` are set by journald; `microseconds` is a kernel record's own time since boot."""

    cursor: str
    at: float
    message: bytes
    is_kernel: bool = False
    comm: str = ""
    unit: str = ""
    uid: int | None = None
    microseconds: int | None = None
    exe: str = ""
    is_oversize: bool = False

    @property
    def sender(self) -> str:
        """KERNEL, or the unit, or the process name where there is no unit."""
        return KERNEL if self.is_kernel else self.unit or self.comm

    def allows(self, signature: Signature) -> bool:
        """Return whether the entry's sender is one of the signature's source: the kernel, a unit, or a program run by a system user."""
        source = signature.source
        if source.kernel or self.is_kernel:
            return source.kernel and self.is_kernel
        if is_own_entry(self.unit, self.comm):
            return False
        return self.unit in source.units or (self.comm in source.comms and self._is_system_program(source.comms))

    def _is_system_program(self, names: Sequence[str]) -> bool:
        """Return whether a system user runs it, and the executable is one of the programs, or an interpreter that ran one.

        A login session can run setuid programs under any name, which may be gone before journald reads their executable: there it must
        be known.
        """
        if self.uid is None or not (self.uid < _FIRST_LOGIN_UID or self.uid in _DYNAMIC_UIDS):
            return False
        name = self.exe.removesuffix(" (deleted)").rpartition("/")[2]
        if not name:
            return not _LOGIN_UNIT.fullmatch(self.unit)
        return name[:_COMM_BYTES] in names or _INTERPRETER.fullmatch(name) is not None


def parse(line: bytes) -> JournalEntry | None:
    """Parse one line of `-o json`; None where it is no entry. A message that is missing, or null (too long), is empty."""
    try:
        fields = json.loads(line)
        message = field_bytes(fields.get("MESSAGE"))
        microseconds = _number(field_text(fields.get("__REALTIME_TIMESTAMP")))
    except (ValueError, AttributeError, RecursionError):
        return None
    if microseconds is None:
        return None
    return JournalEntry(
        field_text(fields.get("__CURSOR")),
        microseconds / 1e6,
        (message or b"").replace(b"\n", b" "),
        # journald reads all of /dev/kmsg with this transport, also what programs of root write there: the facility tells (journald-kmsg.c)
        field_text(fields.get("_TRANSPORT")) == "kernel" and field_text(fields.get("SYSLOG_FACILITY")) in {"", "0"},
        field_text(fields.get("_COMM")),
        field_text(fields.get("_SYSTEMD_UNIT")),
        _number(field_text(fields.get("_UID"))),
        _number(field_text(fields.get("_SOURCE_MONOTONIC_TIMESTAMP"))),
        field_text(fields.get("_EXE")),
        is_oversize=message is None and "MESSAGE" in fields,
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None  # noqa: PLR2004 — digits of 2**64


def field_bytes(value: Any) -> bytes | None:  # noqa: ANN401 — a JSON value
    """Return a field's value: text, an array of bytes (not printable), the first of several values; None for null (too long)."""
    if isinstance(value, list) and value and not _is_bytes(value):
        value = value[0]
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return bytes(value) if isinstance(value, list) and value and _is_bytes(value) else None


def _is_bytes(value: list[Any]) -> bool:
    return all(isinstance(item, int) and 0 <= item <= 255 for item in value)  # noqa: PLR2004


def field_text(value: Any) -> str:  # noqa: ANN401
    """Return a field's value as text; empty where it is none."""
    return (field_bytes(value) or b"").decode("utf-8", "replace")

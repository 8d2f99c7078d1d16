"""Coverage: what of the log is not read. A family of signatures is healthy only where all lines that it could match are read. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.logs.sources.selection import NONE
from collectors.logs.tailing.paths import path_matches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collectors.logs.matching.packs import Signature
    from collectors.logs.sources.selection import SourceSelection, SourceUnavailable

KERNEL, PROGRAMS = "kernel", "programs"
OFF = "off"
_SOURCES = {KERNEL: ("kmsg", "journal"), PROGRAMS: ("journal",)}
_NAMES = {KERNEL: "the kernel", PROGRAMS: "programs"}


@dataclass(frozen=True, slots=True)
class FollowedFile:
    """A followed path: `error` if it may not be read, and whether there is a file that is read."""

    path: str
    error: str
    is_open: bool


@dataclass(frozen=True, slots=True)
class Coverage:
    """Why lines are not read, by origin (`kernel`, `programs`) and by path of a file; and the origins that the settings switch off."""

    gaps: Mapping[str, str] = field(default_factory=dict)
    off: frozenset[str] = frozenset()

    def gaps_of(self, signatures: Sequence[Signature]) -> list[str]:
        """Return the reasons why lines that these signatures could match are not read."""
        return [reason for key, reason in self.gaps.items() if any(_reads(signature, key) for signature in signatures)]

    def covers_none(self, signatures: Sequence[Signature]) -> bool:
        """Return True if the settings switch off the sources of all these signatures."""
        return bool(signatures) and all(not signature.files and origin_of(signature) in self.off for signature in signatures)


def origin_of(signature: Signature) -> str:
    """Return whose lines a signature matches."""
    return KERNEL if signature.source.kernel else PROGRAMS


def _reads(signature: Signature, key: str) -> bool:
    return path_matches(key, signature.files) if signature.files else key == origin_of(signature)


def coverage(
    selection: SourceSelection, unavailable: Mapping[str, SourceUnavailable], files: Sequence[FollowedFile], *, journal_complete: bool
) -> Coverage:
    """Return the coverage. `journal_complete` is True once the backlog of the journal was read, or if the journal is not selected."""
    gaps, off = {}, set()
    for origin, source in ((KERNEL, selection.kernel), (PROGRAMS, selection.programs)):
        reasons = {name: unavailable[name] for name in _SOURCES[origin] if name in unavailable}
        if source == NONE and all(reason.reason == OFF for reason in reasons.values()):
            off.add(origin)
        elif source == NONE or source in reasons:
            gaps[origin] = f"messages of {_NAMES[origin]} are not read: " + "; ".join(f"{name}: {r.detail}" for name, r in reasons.items())
        elif source == "journal" and not journal_complete:
            gaps[origin] = f"messages of {_NAMES[origin]} are not read yet: the journal's backlog"
    if selection.programs == "files" and (reason := _unread(files, selection.files)):
        gaps[PROGRAMS] = reason
    gaps |= {file.path: f"{file.path}: {file.error}" for file in files if file.error}
    return Coverage(gaps, frozenset(off))


def _unread(files: Sequence[FollowedFile], patterns: Sequence[str]) -> str:
    """Return why the configured files are not, or not all, read; empty if they are."""
    configured = [file for file in files if path_matches(file.path, patterns)]
    unreadable = ", ".join(f"{file.path}: {file.error}" for file in configured if file.error)
    if unreadable:
        return f"messages of programs are not all read: {unreadable}"
    if patterns and not any(file.is_open for file in configured):
        return f"messages of programs are not read: there is no journal, and none of the files {', '.join(patterns)}"
    return ""


def remediation(unavailable: Mapping[str, SourceUnavailable], gaps: Sequence[str]) -> str:
    """Return what makes the missing lines readable."""
    reasons = {reason.reason for reason in unavailable.values()}
    if "permission" in reasons or any("denied" in gap or "permitted" in gap for gap in gaps):
        return (
            "for a single look: sudo vitald check; the service (vitald.service) gets the kernel log from vitald-generator, the journal "
            "by the group systemd-journal, log files by adm: `id vitald` shows its groups"
        )
    if "failing" in reasons:
        return "journalctl -n 1 as the same user shows why the journal cannot be read"
    return "run vitald on the host, not in a container, with systemd-journald or a syslog daemon that writes a file of [logs] files"

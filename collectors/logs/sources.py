"""The sources of this host, chosen and opened: at most one kernel log, one journal, and files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from collectors.logs import file_source, journal, journal_source, kernel_source
from collectors.logs.choice import Choice, choose, patterns, rule
from collectors.logs.file_source import FileSource, Wanted
from collectors.logs.journal_source import JournalSource
from collectors.logs.kernel_source import KernelSource
from collectors.logs.kmsg import open_kmsg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from collectors.logs.event import Event
    from collectors.logs.kernel_source import Lose
    from collectors.logs.kmsg import Kmsg
    from collectors.logs.matcher import Matcher
    from collectors.logs.metrics import Traffic
    from collectors.logs.moment import Moment
    from collectors.logs.packs import Signature
    from collectors.logs.saved import State
    from collectors.logs.settings import LogSettings
    from collectors.model import Host


class Trouble(NamedTuple):
    """Why a source is not read: a word of a closed set (`missing permission off`), and a sentence."""

    reason: str
    detail: str


class Sources:
    """What is open. `read` goes through all of it."""

    def __init__(self, settings: LogSettings, host: Host, signatures: Sequence[Signature], state: State, lose: Lose, boot: str) -> None:
        self.troubles: dict[str, Trouble] = {}
        not_before = state.wall
        kmsg = self._open_kmsg(settings, host)
        has_journal = self._has_journal(settings, host)
        under = _under(host.root)
        self.choice: Choice = choose(kmsg=kmsg is not None, journal=has_journal, files=[under(path) for path in settings.files])
        self.kernel: KernelSource | None = None
        self.journal: JournalSource | None = None
        self.files: FileSource | None = None
        if kmsg is not None:
            log = settings.kmsg if settings.kmsg.startswith("/") else boot
            self.kernel = KernelSource(kmsg, log, state.kmsg, lose, not_before)
        if has_journal:
            terms = journal.matches(signatures, kernel=self.choice.kernel == "journal")
            self.journal = JournalSource(journal.Journal(terms, state.cursor, since=not_before, command=journal_command(host.root)), lose)
        signatures = [msgspec.structs.replace(one, files=tuple(map(under, one.files))) if one.files else one for one in signatures]
        if wanted := patterns(self.choice, signatures):
            follow = Wanted(wanted, lambda path: rule(self.choice, signatures, path), not_before, state.patterns)
            self.files = FileSource(follow, state.files, lose, history=state.fresh)

    def _open_kmsg(self, settings: LogSettings, host: Host) -> Kmsg | None:
        if settings.kmsg == "off":
            self.troubles[kernel_source.NAME] = Trouble("off", "[logs] kmsg is off")
            return None
        try:
            return open_kmsg(settings.kmsg, str(host.root / "dev/kmsg"))
        except (OSError, ValueError) as error:
            what = "permission" if isinstance(error, PermissionError) else "missing"
            self.troubles[kernel_source.NAME] = Trouble(what, getattr(error, "strerror", None) or str(error))
            return None

    def _has_journal(self, settings: LogSettings, host: Host) -> bool:
        if settings.journal == "off":
            self.troubles[journal_source.NAME] = Trouble("off", "[logs] journal is off")
            return False
        trouble = journal.trouble(host.root)
        if trouble is None or settings.journal == "on":
            return True
        self.troubles[journal_source.NAME] = Trouble(*trouble)
        return False

    def read(self, matcher: Matcher, now: Moment) -> Iterator[Event]:
        """Read on everywhere."""
        for source in self._all():
            yield from source.read(matcher, now)

    def _all(self) -> Iterator[KernelSource | JournalSource | FileSource]:
        yield from (source for source in (self.kernel, self.journal, self.files) if source is not None)

    def traffic(self) -> Iterator[Traffic]:
        """Say how much each source has read."""
        for source in self._all():
            yield from source.traffic()

    def reasons(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Give (source, why something of it may be lost) for all that is open."""
        if self.kernel is not None:
            yield kernel_source.NAME, kernel_source.REASONS
        if self.journal is not None:
            yield journal_source.NAME, journal_source.REASONS
        if self.files is not None:
            yield file_source.NAME, (file_source.TOO_MANY,)
            yield from ((path, file_source.REASONS) for path in self.files.paths)

    def descriptors(self) -> Iterator[int]:
        """Give what becomes readable with news."""
        for source in (self.kernel, self.journal):
            if source is not None:
                yield from source.wakes()

    @property
    def caught_up(self) -> bool:
        """Say whether what was there at the start has been read."""
        return all(source is None or source.caught_up for source in (self.journal, self.files))

    def close(self) -> None:
        """Let everything go."""
        for source in self._all():
            source.close()


def boot_id(proc: Path) -> str:
    """Give the kernel's id of this boot; empty where there is none."""
    try:
        return (proc / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def journal_command(root: Path) -> tuple[str, ...]:
    """Give the journalctl that reads a host's journal: this one's, or the one below `root`."""
    return ("journalctl",) if root == Path("/") else ("journalctl", f"--root={root}")


def _under(root: Path) -> Callable[[str], str]:
    """Give the function that finds a host's path below its root."""
    prefix = str(root).rstrip("/")
    return lambda path: prefix + path

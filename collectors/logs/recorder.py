"""Reads the sources, counts, and keeps both on disk together: whatever happens, neither is ever ahead of the other."""

from __future__ import annotations

import logging
import time
from select import poll
from typing import TYPE_CHECKING

import msgspec

from collectors.logs import clock
from collectors.logs.fault_tracker import FaultTracker
from collectors.logs.matching.matcher import allow_kernel
from collectors.logs.sources import previous_boot
from collectors.logs.sources.event import event, match_messages
from collectors.logs.sources.lease_renewals import renewed
from collectors.logs.sources.sources import Sources, boot_id, journal_command
from collectors.logs.state import LogsState, read_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from collectors.logs.clock import Timestamp
    from collectors.logs.matching.matcher import Matcher
    from collectors.logs.matching.packs import Signature
    from collectors.logs.settings import LogSettings
    from collectors.logs.sources.event import LogEvent
    from collectors.logs.state import KmsgPosition
    from collectors.model import CollectorContext

log = logging.getLogger(__name__)

LEASES_SECONDS = 5.0  # between two looks whether a lease was renewed, while a DHCP fault goes on
SAVE_SECONDS = 5.0  # between two saves while nothing happens but reading
FIRST_SECONDS = 4.0  # that the first look may take to read what is there already


class Recorder:
    """One set of packs over one set of sources, from a saved state on."""

    def __init__(self, settings: LogSettings, host: CollectorContext, signatures: Sequence[Signature], matcher: Matcher) -> None:
        """Open everything."""
        now = clock.now()
        self._slot = host.slot
        self._journalctl = journal_command(host.root)
        self._boot = boot_id(host.proc)
        self._matcher = matcher
        state = self._load()
        self.lost = {(source, reason): count for source, reasons in state.lost.items() for reason, count in reasons.items()}
        self.fault_tracker = FaultTracker(signatures, state, now, same_boot=state.boot == self._boot)
        self.sources = Sources(settings, host, signatures, state, self._lose, self._boot)
        self._before = state.kmsg if self._rebooted(state) and settings.journal != "off" else None
        self._dirty = state.fresh
        self._saved = state
        self._next_save = self._next_leases = 0.0
        self._live = str(host.proc) == "/proc"  # the address table is this machine's

    def _load(self) -> LogsState:
        try:
            return read_state(self._slot.load())
        except ValueError as error:
            log.warning("the saved state of the logs is of no use (%s): starting fresh", error)
            return LogsState()

    def _rebooted(self, state: LogsState) -> bool:
        return (
            self.sources.kernel is not None
            and state.kmsg is not None
            and state.kmsg.log not in {"", self._boot}
            and state.kmsg.log[0] != "/"
        )

    def _lose(self, source: str, reason: str, count: int) -> None:
        self.lost[source, reason] = self.lost.get((source, reason), 0) + count
        self._dirty = True

    def first_look(self, closing: Callable[[], bool]) -> None:
        """Read what is there already, the journal's part too, as far as that can be had in a few seconds."""
        end = time.monotonic() + FIRST_SECONDS
        if self._before is not None:
            self._count(self._last_words(self._before, clock.now()), clock.now())
            self._before = None
        self.look()
        while not (self.sources.caught_up or closing() or time.monotonic() > end):
            waiting = poll()
            for descriptor in self.sources.descriptors():
                waiting.register(descriptor)
            waiting.poll(100)
            self.look()

    @property
    def news(self) -> bool:
        """Say whether anything was counted that is not on disk yet."""
        return self._dirty

    def look(self) -> None:
        """Read what is new everywhere, and count it."""
        now = clock.now()
        self._count(self.sources.read(self._matcher, now), now)
        if self._live and self.fault_tracker.has_dhcp_faults and now.boottime >= self._next_leases:
            self._next_leases = now.boottime + LEASES_SECONDS
            self._dirty |= self.fault_tracker.end_renewed(renewed(now.boottime))

    def _count(self, events: Iterator[LogEvent], now: Timestamp) -> None:
        for one in events:
            self.fault_tracker.add(one, now)
            self._dirty = True

    def _last_words(self, position: KmsgPosition, now: Timestamp) -> Iterator[LogEvent]:
        entries = list(previous_boot.last_words(position, command=self._journalctl))
        for index, match in match_messages(self._matcher, [entry.message for entry in entries], lambda _: allow_kernel):
            yield event(match, min(entries[index].at, now.wall))

    def keep(self, *, at_once: bool = False) -> None:
        """Save, if something was counted, or if reading has moved on and it is time."""
        now = clock.now()
        if not (self._dirty or at_once or now.boottime >= self._next_save):
            return
        state = self._state(now)
        if self._dirty or _places(state) != _places(self._saved):
            self._dirty = not self._slot.save(msgspec.to_builtins(state))
            self._saved = state
        self._next_save = now.boottime + SAVE_SECONDS

    def _state(self, now: Timestamp) -> LogsState:
        sources = self.sources
        lost: dict[str, dict[str, int]] = {}
        for (source, reason), count in self.lost.items():
            lost.setdefault(source, {})[reason] = count
        return LogsState(
            boot=self._boot,
            wall=now.wall,
            boottime=now.boottime,
            events={name: count for name, count in self.fault_tracker.events.items() if count},
            last_seen=dict(self.fault_tracker.last_seen),
            faults=self.fault_tracker.faults(now),
            recent={name: dict(instances) for name, instances in self.fault_tracker.recent(now).items()},
            lost=lost,
            kmsg=sources.kernel.position if sources.kernel else None,
            cursor=sources.journal.cursor if sources.journal else "",
            programs_from=sources.programs_from(now),
            files=sources.files.save() if sources.files else {},
            patterns=sources.files.patterns if sources.files else (),
        )

    def close(self) -> None:
        """Save, and let go."""
        self.keep(at_once=True)
        self.sources.close()


def _places(state: LogsState) -> tuple[object, ...]:
    return state.kmsg, state.cursor, state.files

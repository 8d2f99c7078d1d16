"""Reads the sources, counts events, and saves counts and positions together, so that neither is ahead of the other after a crash."""

from __future__ import annotations

import logging
import socket
import time
from select import poll
from typing import TYPE_CHECKING

import msgspec

from collectors.dhcp import read_addresses
from collectors.files import read_boot_id
from collectors.logs import clock
from collectors.logs.fault_tracker import FaultTracker
from collectors.logs.matching.matcher import allow_kernel
from collectors.logs.sources.event import KERNEL, event, match_messages
from collectors.logs.sources.journal import read_previous_boot
from collectors.logs.sources.sources import Sources, journal_command
from collectors.logs.state import LogsState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from collectors.interfaces import IgnoredInterfaces
    from collectors.logs.clock import Timestamp
    from collectors.logs.matching.matcher import Matcher
    from collectors.logs.matching.packs import Signature
    from collectors.logs.settings import LogSettings
    from collectors.logs.sources.event import LogEvent
    from collectors.logs.state import KmsgPosition
    from collectors.model import CollectorContext

log = logging.getLogger(__name__)

LEASE_CHECK_SECONDS = 5.0  # between two reads of the address table while a DHCP fault is open
SAVE_WAIT_SECONDS = 1.0  # of a run for its save: what was counted is then shown all the same, and saved when the disk answers
SAVE_SECONDS = 5.0  # between two saves without events
BACKLOG_SECONDS = 4.0  # limit of the first read
LOSS_SECONDS = 3600.0  # for which a loss is shown


class Recorder:
    """Reads a set of sources with a set of signatures, from a saved state on."""

    def __init__(self, settings: LogSettings, context: CollectorContext, signatures: Sequence[Signature], matcher: Matcher) -> None:
        now = clock.now()
        self._slot = context.slot
        self._journalctl = journal_command(context.root)
        self._boot = read_boot_id(context.proc)
        self._matcher = matcher
        state = _until(self._slot.load(LogsState), now)
        by_id = {signature.id: signature for signature in signatures}
        faults = [
            fault for fault in state.faults if fault.signature in by_id and not matcher.ignores(by_id[fault.signature], fault.instance)
        ]
        state = msgspec.structs.replace(state, faults=tuple(faults))
        self.lost = {(source, reason): count for source, reasons in state.lost.items() for reason, count in reasons.items()}
        self._lost_at: dict[tuple[str, str], Timestamp] = {}
        self.fault_tracker = FaultTracker(signatures, state, now, same_boot=state.boot == self._boot)
        self.sources = Sources(settings, context, signatures, state, self._on_loss, self._boot)
        self._previous_boot = state.kmsg if self._is_rebooted(state) and settings.journal != "off" else None
        self.is_dirty = state.is_new  # events or losses were counted that are not saved yet
        self._saved = state
        self._next_save = self._next_lease_check = 0.0
        self._is_recorded = context.is_recorded
        self._ignored = settings.ignored_interfaces

    def _is_rebooted(self, state: LogsState) -> bool:
        log_id = state.kmsg.log_id if state.kmsg is not None else ""
        return self.sources.kernel is not None and log_id not in {"", self._boot} and log_id[0] != "/"

    def _on_loss(self, source: str, reason: str, count: int) -> None:
        self.lost[source, reason] = self.lost.get((source, reason), 0) + count
        self._lost_at[source, reason] = clock.now()
        self.is_dirty = True

    def recent_losses(self) -> dict[tuple[str, str], float]:
        """Return the Unix time of the last loss by source and reason, where it was in the last LOSS_SECONDS."""
        since = clock.now().boottime - LOSS_SECONDS
        return {key: at.wall for key, at in self._lost_at.items() if at.boottime >= since}

    def read_backlog(self, is_closing: Callable[[], bool]) -> None:
        """Read what is there already, the journal's part too, as far as it can be had within BACKLOG_SECONDS."""
        end = time.monotonic() + BACKLOG_SECONDS
        if self._previous_boot is not None:
            now = clock.now()
            self._count(self._previous_boot_events(self._previous_boot, now), now)
            self._previous_boot = None
        self.read()
        while not (self.sources.caught_up or is_closing() or time.monotonic() > end):
            waiting = poll()
            for descriptor in self.sources.wake_fds():
                waiting.register(descriptor)
            waiting.poll(100)
            self.read()

    def read(self) -> None:
        """Read what is new in all sources, and count it."""
        now = clock.now()
        self._count(self.sources.read(self._matcher, now), now)
        if not self._is_recorded and self.fault_tracker.has_dhcp_faults and now.boottime >= self._next_lease_check:
            self._next_lease_check = now.boottime + LEASE_CHECK_SECONDS
            self.is_dirty |= self.fault_tracker.end_renewed(_read_lease_renewals(now.boottime, self._ignored))

    def _count(self, events: Iterator[LogEvent], now: Timestamp) -> None:
        for occurrence in events:
            self.fault_tracker.add(occurrence, now)
            self.is_dirty = True

    def _previous_boot_events(self, position: KmsgPosition, now: Timestamp) -> Iterator[LogEvent]:
        entries = list(read_previous_boot(position, command=self._journalctl))
        for index, match in match_messages(self._matcher, [entry.message for entry in entries], lambda _: allow_kernel):
            yield event(match, min(entries[index].at, now.wall), KERNEL)

    def save(self, *, force: bool = False) -> None:
        """Save if something was counted, or if positions have moved and SAVE_SECONDS have passed."""
        now = clock.now()
        if not (self.is_dirty or force or now.boottime >= self._next_save):
            return
        state = self._state(now)
        if self.is_dirty or _positions(state) != _positions(self._saved):
            self.is_dirty = not self._slot.save(state, SAVE_WAIT_SECONDS)
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
            cursor=sources.journal.reader.cursor if sources.journal else "",
            programs_from=sources.programs_from(now),
            files=sources.files.state() if sources.files else {},
            patterns=sources.files.patterns if sources.files else (),
        )

    def close(self) -> None:
        """Save, and close the sources."""
        if self.sources.files is not None:
            self._count(iter(self.sources.files.refresh_state()), clock.now())
        self.save(force=True)
        self.sources.close()


def _until(state: LogsState, now: Timestamp) -> LogsState:
    """Return the state without times of the future: the wall clock was set back, or the state is damaged, and no line would be newer."""
    return msgspec.structs.replace(
        state,
        wall=min(state.wall, now.wall),
        programs_from=min(state.programs_from, now.wall),
        last_seen={name: min(at, now.wall) for name, at in state.last_seen.items()},
        faults=tuple(
            msgspec.structs.replace(fault, first=min(fault.first, now.wall), last=min(fault.last, now.wall)) for fault in state.faults
        ),
    )


def _positions(state: LogsState) -> tuple[object, ...]:
    return state.kmsg, state.cursor, state.files


def _read_lease_renewals(boottime: float, ignored: IgnoredInterfaces) -> Mapping[str, float]:
    """Return when each interface's oldest lease was last set, in seconds since boot, by the kernel's address table; empty on errors.

    Leases of ignored interfaces do not count: a fault that names no interface ends when those of all others were set.
    """
    try:
        addresses = read_addresses(dict(socket.if_nameindex()), time.monotonic())
    except OSError:
        return {}
    renewed_at: dict[str, float] = {}
    for address in addresses:
        if address.valid is not None and not ignored.covers("dhcp", address.interface.encode()):
            renewed_at[address.interface] = min(renewed_at.get(address.interface, boottime), boottime - address.age)
    return renewed_at

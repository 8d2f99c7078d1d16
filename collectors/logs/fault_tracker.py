"""Event totals by signature, and the open faults, across restarts. No clock, no I/O: the caller passes the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from collectors.logs.fault_lifetime import FaultLifetimes, FaultRules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from collectors.logs.clock import Timestamp
    from collectors.logs.fault_lifetime import Fault
    from collectors.logs.matching.packs import Signature
    from collectors.logs.sources.event import LogEvent
    from collectors.logs.state import LogsState


class FaultTracker:
    """Running totals of every signature, and the lifetimes of its faults. Ages are measured by the clock since boot."""

    def __init__(self, signatures: Iterable[Signature], state: LogsState, now: Timestamp, *, same_boot: bool) -> None:
        """Continue from the saved state. Ages are kept: by the clock since boot within one boot, by the wall clock across boots."""
        self._rules = FaultRules(signatures)
        self.events = {name: state.events.get(name, 0) for name in self._rules.by_id}
        self.last_seen = {name: at for name, at in state.last_seen.items() if name in self._rules.by_id}
        shift = 0.0 if same_boot else now.boottime - state.boottime - max(0.0, now.wall - state.wall)
        self._lifetimes = FaultLifetimes(
            self._rules,
            [msgspec.structs.replace(fault, updated=min(now.boottime, fault.updated + shift)) for fault in state.faults],
            {
                name: {instance: [min(now.boottime, at + shift) for at in times] for instance, times in instances.items() if times}
                for name, instances in state.recent.items()
            },
        )

    def add(self, event: LogEvent, now: Timestamp) -> None:
        """Count an event, and begin, continue or end faults by it."""
        name = event.signature.id
        self.events[name] += event.times
        self.last_seen[name] = max(self.last_seen.get(name, 0.0), min(event.at, now.wall))
        self._lifetimes.apply(event, now.boottime - now.age(event.at))

    @property
    def has_dhcp_faults(self) -> bool:
        """True if a DHCP fault is open that a recovery would end."""
        return any(map(self._is_renewable, self._lifetimes.faults))

    def end_renewed(self, renewed_at: Mapping[str, float]) -> bool:
        """End DHCP faults of interfaces whose lease was set since; return whether there were any.

        `renewed_at` holds seconds since boot by interface. A fault that names no interface ends when the leases of all were set.
        """
        all_renewed_at = min(renewed_at.values(), default=0.0)
        ended = [
            fault
            for fault in self._lifetimes.faults
            if self._is_renewable(fault) and fault.updated < renewed_at.get(fault.instance, 0.0 if fault.instance else all_renewed_at)
        ]
        for fault in ended:
            self._lifetimes.end(fault)
        return bool(ended)

    def _is_renewable(self, fault: Fault) -> bool:
        signature = self._rules.by_id[fault.signature]
        return signature.family == "dhcp" and bool(signature.cleared_by)

    def faults(self, now: Timestamp) -> tuple[Fault, ...]:
        """Return the open faults; those older than their window are dropped."""
        self._lifetimes.expire(now.boottime)
        return self._lifetimes.faults

    def recent(self, now: Timestamp) -> Mapping[str, Mapping[str, tuple[float, ...]]]:
        """Return when signatures that escalate had events, to be saved; what is too old to count is dropped."""
        return self._lifetimes.recent(now.boottime)

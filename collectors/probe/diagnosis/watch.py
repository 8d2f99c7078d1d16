"""What follows a sweep: who is to blame on this host, who has turned bad, what the diagnosis says, and where path MTUs are looked at."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, NamedTuple

from collectors.model import Mode
from collectors.netlink.route import neighbours, route, zoned
from collectors.probe.connect.outcome import Outcome, Reason
from collectors.probe.diagnosis.rules import NO_NEIGHBOUR
from collectors.probe.diagnosis.runner import Diagnoser
from collectors.probe.diagnosis.target_events import ROSTER
from collectors.probe.judge import LOSSY
from collectors.probe.targets.target import Address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collectors.model import CollectorContext
    from collectors.probe.connect.sweep import Planned
    from collectors.probe.diagnosis.rules import Diagnosis
    from collectors.probe.target_stats import Record

FIRST_DIAGNOSIS = 15.0  # seconds that `vitald check` waits for one, since it looks only once
_SILENCE = {Reason.TIMEOUT, Reason.HOST_UNREACHABLE}


class Seen(NamedTuple):
    """One sweep, probe by probe: whose it was, where it went, and how it ended. A name has a probe for each of its addresses.

    `shy` are the targets that must not see a connect; they have a probe only now and then.
    """

    shy: frozenset[str]
    texts: Sequence[str]
    plan: Sequence[Planned]
    outcomes: Sequence[Outcome | None]

    def places(self) -> dict[str, Address]:
        """Say where each target is, as far as that is known; of several addresses one that failed."""
        found: dict[str, Address] = {}
        for text, planned, outcome in zip(self.texts, self.plan, self.outcomes, strict=True):
            if isinstance(planned, Address) and (text not in found or (outcome and outcome.reason is not Reason.ANSWERED)):
                found[text] = planned
        return found


class Watch:
    """Goes with one prober, from sweep to sweep."""

    def __init__(self, host: CollectorContext, timeout: float) -> None:
        self._thorough = host.mode is Mode.CHECK
        self._diagnoser = Diagnoser(host.sys, timeout)
        self._bad: set[str] = set()
        self._places: dict[str, Address] = {}
        self._own: Mapping[str, Reason] = {}

    def blame(self, seen: Seen, outcomes: list[Outcome | None]) -> list[Outcome | None]:
        """Put down to this host what a silent gateway did, and what a diagnosis has found to be its own doing."""
        silent = [index for index, outcome in enumerate(outcomes) if outcome and outcome.reason in _SILENCE and not outcome.own_fault]
        if not silent:
            return outcomes
        for index in _behind_silent_gateways(silent, seen.plan):
            outcomes[index] = _own(outcomes[index], Reason.HOST_UNREACHABLE, errno.EHOSTUNREACH)
        for index in silent:
            if (reason := self._own.get(seen.texts[index])) and reason is not Reason.HOST_UNREACHABLE:
                outcomes[index] = _own(outcomes[index], reason, errno.EPERM)
        return outcomes

    def after(self, seen: Seen, records: Mapping[str, Record]) -> Mapping[str, Diagnosis]:
        """Take the records in; gives the diagnoses there are, by target."""
        states = {target: state for target, record in records.items() if (state := _state(record))}
        known_places = {**self._places, **seen.places()}
        places = self._places = {target: place for target, place in known_places.items() if target in records}
        ROSTER.publish(places)
        for target in states.keys() - self._bad:
            ROSTER.turned_bad(target)
        self._bad = set(states)
        self._diagnoser.consider(states, records, places, seen.shy)
        if self._thorough:
            self._diagnoser.wait(FIRST_DIAGNOSIS)
        known = self._diagnoser.known()
        self._own = {target: diagnosis.own for target, diagnosis in known.items() if diagnosis.own is not None}
        return known

    def close(self) -> None:
        """End a diagnosis that may be out; these targets are nobody's any more."""
        ROSTER.publish({})
        self._diagnoser.close()


def _state(record: Record) -> str:
    """Name how a target is bad; empty for one that is well, or not probed yet."""
    if record.last is None:
        return ""
    if record.last.own_fault:
        return "own fault"
    if record.in_a_row:
        return "failing"
    return "losing SYNs" if record.lossy >= LOSSY else ""


def _behind_silent_gateways(suspects: Sequence[int], plan: Sequence[Planned]) -> list[int]:
    """Choose those whose next hop is a gateway that answers no ARP or ND. A silent neighbour that is the target itself is its own fault."""
    try:
        dead = {key for family in (socket.AF_INET, socket.AF_INET6) for key, state in neighbours(family).items() if state in NO_NEIGHBOUR}
    except OSError:
        return []
    return [index for index in suspects if dead and _gateway(plan[index]) in dead]


def _gateway(planned: Planned) -> tuple[str, str] | None:
    if not isinstance(planned, Address):
        return None
    try:
        way = route(zoned(planned.sockaddr))
    except OSError:
        return None
    return (way.interface, way.gateway) if way.gateway else None


def _own(outcome: Outcome | None, reason: Reason, error: int) -> Outcome:
    return (outcome or Outcome(reason))._replace(reason=reason, own_fault=True, error=error)

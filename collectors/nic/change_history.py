"""Changes of interfaces: since when each fact is as it is, and its value before. Pure; kept in the collector's state file."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from collectors.nic.reading import Change
from collectors.text import ISO, utc

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from collectors.nic.reading import Fact, Nic

RECENT_SECONDS = 3600.0  # how long another driver under the same name, or a smaller MTU, is reported
MAX_INTERFACES = 1000  # in the history; a container may create more names than a state file should hold
MAX_GONE = 64  # in the history, of those that are gone: one that comes back as another is reported
TRACKED_FEATURES = ("sg", "tso", "gso", "gro", "lro", "tx", "rx")

ChangeHistory = dict[str, dict[str, Change]]  # interface → fact → its last change


def record(history: ChangeHistory, interface: str, facts: Mapping[str, Fact], now: float) -> bool:
    """Record an interface's present facts; return whether any of them changed."""
    recorded = history.setdefault(interface, {}) if len(history) < MAX_INTERFACES or interface in history else {}
    changed = False
    for name, value in facts.items():
        old = recorded.get(name)
        if old is None or old.value != value:
            recorded[name] = Change(value, now, None if old is None else old.value)
            changed = True
    return changed


def tracked_facts(nic: Nic) -> dict[str, Fact]:
    """Return the facts of an interface whose changes are recorded."""
    facts: dict[str, Fact] = {"carrier": bool(nic.link.carrier)}
    if nic.link.mtu is not None:
        facts["mtu"] = nic.link.mtu
    if nic.driver_name:
        facts["driver"] = nic.driver_name
    return facts | {name: state.active for name, state in nic.features.items() if name in TRACKED_FEATURES}


def prune(history: ChangeHistory, present: Container[str]) -> None:
    """Drop the oldest interfaces that are gone, where there are more than MAX_GONE."""
    gone = [name for name in history if name not in present]
    for name in gone[: -MAX_GONE // 2] if len(gone) > MAX_GONE else ():
        del history[name]


def dump(history: ChangeHistory) -> ChangeHistory:
    """Return a copy: when the daemon ends a run may be in progress."""
    return {interface: dict(facts.items()) for interface, facts in list(history.items())}


def restore(saved: ChangeHistory) -> ChangeHistory:
    """Return a saved history, bounded."""
    return dict(list(saved.items())[:MAX_INTERFACES])


@lru_cache(maxsize=256)
def iso_time(at: float | None) -> str:
    """Format a Unix time as ISO 8601; empty where it is none."""
    if at is None or not 0 <= at < 4e9:  # noqa: PLR2004 — beyond 2096 the clock is wrong, and time.gmtime may refuse
        return ""
    return utc(at, ISO)


def since(change: Change | None) -> str:
    """Return since when a fact is so: a time, or `before TIME` for what was so at the first read; empty where that is not known."""
    at = iso_time(change.since) if change is not None else ""
    return f"before {at}" if at and change is not None and change.before is None else at


def since_clause(change: Change | None) -> str:
    """Return `, since TIME` for a message; empty where the time is not known."""
    found = since(change)
    return f", since {found}" if found else ""

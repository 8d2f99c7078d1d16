"""Since when an interface is as it is, and what it was before. Pure; the collector keeps it in its slot across restarts."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from collectors.nic.reading import Change
from collectors.text import ISO, utc

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from collectors.nic.reading import Fact, Nic

NEWS_SECONDS = 3600.0  # how long another driver under the same name, or a smaller MTU, is told as news
MOST_INTERFACES = 1000  # remembered; a hostile host could make more names than a state file should hold
MOST_GONE = 64  # remembered of those that are gone, so that one that comes back as another is told
WATCHED = ("sg", "tso", "gso", "gro", "lro", "tx", "rx")

Memory = dict[str, dict[str, Change]]  # interface → fact → its change


def note(memory: Memory, interface: str, facts: Mapping[str, Fact], now: float) -> bool:
    """Take down what an interface is now; True where anything is new."""
    known = memory.setdefault(interface, {}) if len(memory) < MOST_INTERFACES or interface in memory else {}
    changed = False
    for name, value in facts.items():
        old = known.get(name)
        if old is None or old.value != value:
            known[name] = Change(value, now, None if old is None else old.value)
            changed = True
    return changed


def facts(nic: Nic) -> dict[str, Fact]:
    """Pick what is worth remembering of an interface."""
    known: dict[str, Fact] = {"carrier": bool(nic.link.carrier)}
    if nic.link.mtu is not None:
        known["mtu"] = nic.link.mtu
    if nic.driver_name:
        known["driver"] = nic.driver_name
    return known | {name: state.active for name, state in nic.features.items() if name in WATCHED}


def shrink(memory: Memory, present: Container[str]) -> None:
    """Make room for new interfaces: of those that are gone, the ones that came last are kept."""
    gone = [name for name in memory if name not in present]
    for name in gone[: -MOST_GONE // 2] if len(gone) > MOST_GONE else ():
        del memory[name]


def dump(memory: Memory) -> dict[str, Any]:
    """Give it as plain JSON values. Copies first: at the end of the daemon a look may still be out."""
    return {
        interface: {name: [change.value, change.since, change.before] for name, change in list(facts.items())}
        for interface, facts in list(memory.items())
    }


def restore(saved: Any) -> Memory:  # noqa: ANN401 — whatever lay in the slot
    """Read what `dump` gave; anything else there is forgotten without a word: it is only a memory."""
    memory: Memory = {}
    for interface, facts in list(saved.items())[:MOST_INTERFACES] if isinstance(saved, dict) else ():
        if isinstance(facts, dict):
            memory[str(interface)] = {str(name): change for name, raw in facts.items() if (change := _change(raw)) is not None}
    return memory


def _change(raw: Any) -> Change | None:  # noqa: ANN401
    match raw:
        case [str() | int() as value, int() | float() as since, (None | str() | int()) as before]:
            return Change(value, float(since), before)
    return None


@lru_cache(maxsize=256)
def stamp(at: float | None) -> str:
    """Write Unix time as people and logs read it."""
    if at is None or not 0 <= at < 4e9:  # noqa: PLR2004 — beyond 2096 the clock is wrong, and time.gmtime may refuse
        return "unknown"
    return utc(at, ISO)


def since(change: Change | None) -> str:
    """Say since when; of what was so at our first look only that it is older."""
    if change is None:
        return "since when is unknown"
    return f"since {'before ' if change.before is None else ''}{stamp(change.since)}"

"""Findings on the daemon itself: state that is not on disk, and files that hang. Pure, but for `report()`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from collectors import disk
from collectors.model import Level, Report, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from daemon.state_store import StateStore

STATE, ACCESS = "state_save", "disk_access"
UNSAVED_SECONDS = 60.0  # age of unsaved state that is a finding; log positions are saved every 5 s
HANGS_SECONDS = 15.0  # age of an access that is a finding: a busy disk answers within seconds
MAX_PATHS = 16
_REMEDY = "find the disk that does not answer: dmesg, and `grep . /sys/block/*/inflight` for one whose requests do not end"


class StateHealth(NamedTuple):
    """State directory: seconds for which the oldest unsaved value has been waiting, and why there is no state, if there is none."""

    path: str
    unsaved: float = 0.0
    is_opening: bool = False
    error: str = ""


def report(store: StateStore) -> Report:
    """Return the present findings as a report of `daemon`."""
    health = StateHealth(str(store.path), store.unsaved_seconds(), store.is_opening, store.error)
    return Report("daemon", time.time(), tuple(judge(health, disk.accesses(HANGS_SECONDS))))


def judge(state: StateHealth, accesses: Iterable[tuple[str, float]]) -> Iterator[Verdict]:
    """Return a verdict on the state directory, and one for each path that hangs."""
    evidence = {"unsaved_seconds": round(state.unsaved)}
    if state.is_opening:
        message = "not read yet, the disk hangs: vitald runs without its state and takes it when the disk answers"
        yield Verdict(STATE, state.path, Level.WARNING, message, evidence, _REMEDY)
    elif state.error:
        message = f"unusable, a restart loses log positions and the age of faults: {state.error}"
        yield Verdict(STATE, state.path, Level.WARNING, message, evidence, "make it a directory that the user vitald can write to")
    elif state.unsaved >= UNSAVED_SECONDS:
        message = f"not saved for {state.unsaved:.0f} s, the disk hangs, is full or is read-only"
        yield Verdict(STATE, state.path, Level.WARNING, message, evidence, f"df {state.path}; if it has space, {_REMEDY}")
    else:
        yield Verdict(STATE, state.path, Level.HEALTHY, "saved", evidence)
    oldest: dict[str, float] = {}
    for path, seconds in accesses:
        if path != state.path and len(oldest) < MAX_PATHS:
            oldest[path] = max(seconds, oldest.get(path, 0.0))
    for path, seconds in oldest.items():
        message = f"access has not returned for {seconds:.0f} s, the disk hangs; what was read before is used"
        yield Verdict(ACCESS, path, Level.WARNING, message, {"seconds": round(seconds)}, _REMEDY)

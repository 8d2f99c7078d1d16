"""Fault walk: the n-th system call of each class fails with each errno of its manual page, in `run`, `check`, `check-config` and `scan`.

`VITALD_BENCH_SECONDS` limits the time per program, `VITALD_BENCH_FULL=1` walks every call with every errno. `strace` confirms a sample.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from typing import TYPE_CHECKING

from tests.kit.faultwalk.scenarios import Daemon, Strace, Zygote
from tests.kit.faultwalk.supervisor import Call, Failure
from tests.kit.faultwalk.walk import SCENARIOS, Walk, count_calls, failures_of, walk
from tests.kit.results import Row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ISSUE = 12
_CONFIRMED = (  # system call, path, errnos: in the daemon itself, by strace
    ("openat", "syslog", "EMFILE EIO ENOENT"),
    ("openat", "web.yml", "EMFILE EIO"),
    ("openat", "targets.json", "ENFILE EACCES"),
    ("read", "syslog", "EIO ESTALE"),
    ("openat", "packs/walk.toml", "EMFILE"),
    ("newfstatat", "syslog", "ENOENT EIO"),
)
_SECONDS = float(os.environ.get("VITALD_BENCH_SECONDS", "3600"))
_FULL = bool(os.environ.get("VITALD_BENCH_FULL"))


def measure(folder: Path) -> Iterator[Row]:
    """Walk every program; a row for each."""
    for name in SCENARIOS:
        place = folder / name
        result = Walk(name, count_calls(name, place))
        failures = failures_of(result.calls, full=_FULL)
        done = walk(result, failures, place, _SECONDS)
        kinds = Counter(call.name for call in result.calls)
        measured = f"{sum(result.calls.values()):,} calls of {len(kinds)} kinds in {len(result.calls)} classes; {result.summary()}"
        reason = "; ".join(f"{failure}: {', '.join(problems)}" for failure, problems in result.found.items()).replace("|", "/")[:400]
        title = f"`vitald {name}`: failed system calls without traceback, hang, lost or doubled count, lost state"
        yield Row(title, "all", f"{measured}; {done:,} of {len(failures):,}", "-", "-", not result.found, reason)
    yield _confirm(folder / "strace")


def _confirm(folder: Path) -> Row:
    """Walk a sample with strace in place of the filter."""
    daemon = Daemon(folder)
    found, walked = [], 0
    try:
        with Zygote() as zygote:
            daemon.run(zygote)  # compiles the signatures
        for name, path, words in _CONFIRMED:
            for word in words.split():
                failure = Failure(Call(name, "any", path), 1, getattr(errno, word))
                run = daemon.run(Strace(failure, str(folder / path)))
                walked += len(run.injected)
                found += [f"{failure}: {problem}" for problem in run.problems]
    finally:
        daemon.close()
    return Row(
        "the same of `vitald run` by `strace --inject`", "all", f"{walked} failures walked", "-", "-", not found, "; ".join(found)[:400]
    )

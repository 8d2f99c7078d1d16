"""Walks the failures of a scenario: `python -m tests.kit.faultwalk.walk SCENARIO [--seconds S] [--skip N] [--only TEXT] [--full]`.

One run counts the system calls by class; then each run has up to eight failures, of different classes. Of each class the first call is
walked with every errno, the second and the last one with one errno each; with `--full` every call with every errno. Where a run has a
problem, each of its failures is walked alone, followed by a run without one; then those of the run before, whose damage may show later.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tests.kit.faultwalk.errnos import NUMBERS, errnos
from tests.kit.faultwalk.scenarios import Command, Daemon, Run, Strace, Zygote
from tests.kit.faultwalk.supervisor import Call, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

SLOTS = 2
TOGETHER = 8  # failures of one run


class Scenario(Protocol):
    """What is walked."""

    name: str

    def run(self, zygote: Zygote | Strace, calls: Iterable[str] = (), failures: tuple[Failure, ...] = ()) -> Run:
        """Run once."""

    def close(self) -> None:
        """Release what it holds."""


def scenario(name: str, folder: Path) -> Scenario:
    """Return a new scenario of this name. The compiled signatures of another one, `count`, are taken over."""
    if name == "run":
        if (compiled := folder.parent / "count/state/signatures.db").exists():
            (folder / "state").mkdir(mode=0o750, parents=True)
            shutil.copy(compiled, folder / "state")
        return Daemon(folder)
    levels = frozenset(range(4))
    if name == "check":
        return Command(folder, name, ["check", "--format", "json", "--no-collector.probe", "--no-collector.path_mtu"], levels, as_json=True)
    if name == "check-config":
        return Command(folder, name, ["check-config", "/dev/null"], frozenset({0, 2}), as_json=False)
    if name == "scan":
        (folder / "syslog").parent.mkdir(parents=True, exist_ok=True)
        (folder / "syslog").write_text("Nov 21 10:00:00 ip-10-0-0-56 dhclient[694]: No DHCPOFFERS received.\n" * 3)
        return Command(folder, name, ["scan", "--format", "json", str(folder / "syslog")], frozenset({0, 1, 2}), as_json=True)
    raise KeyError(name)


SCENARIOS = ("run", "check", "check-config", "scan")


@dataclass
class Walk:
    """What was walked. `found` has the problems of each failure that has some twice."""

    name: str
    calls: Counter[Call]
    walked: int = 0
    not_reached: int = 0
    runs: int = 0
    unconfirmed: list[tuple[tuple[Failure, ...], list[str]]] = field(default_factory=list)
    found: dict[Failure, list[str]] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, run: Run, batch: dict[Failure, int], queue: _Queue) -> None:
        """Count a run; what was not reached is walked once more."""
        self.runs += 1
        self.walked += len(run.injected)
        for failure in batch.keys() - set(run.injected):
            if batch[failure]:
                self.not_reached += 1
            else:
                queue.put_back(failure, 1)

    def summary(self) -> str:
        """Return the figures."""
        once = f", {len(self.unconfirmed)} with a problem that did not show again" if self.unconfirmed else ""
        reached = f"{self.walked:,} failures walked in {self.runs:,} runs, {self.not_reached} not reached"
        return f"{reached}, {len(self.found)} with a problem{once}, {self.seconds:.0f} s"


def failures_of(calls: Counter[Call], *, full: bool = False, seed: int = 1) -> list[Failure]:
    """Return the failures to walk, in an order that depends on the seed alone."""
    found: list[Failure] = []
    for call, count in sorted(calls.items()):
        if not (errors := errnos(call.name, call.about)):
            continue
        if full:
            found += [Failure(call, at, error) for at in range(1, count + 1) for error in errors]
            continue
        found += [Failure(call, 1, error) for error in errors]
        found += [Failure(call, at, errors[(at + index) % len(errors)]) for index, at in enumerate(sorted({2, count} - {1})) if at <= count]
    random.Random(seed).shuffle(found)  # noqa: S311 — the same walk for the same seed
    return found


def count_calls(name: str, folder: Path, names: Iterable[str] = NUMBERS) -> Counter[Call]:
    """Count the calls of these names in runs without failures, which follow a first one that fills the caches."""
    calls: Counter[Call] = Counter()
    with Zygote() as zygote:
        counted = scenario(name, folder / "count")
        try:
            for some in ((), names):
                run = counted.run(zygote, some)
                if run.problems:
                    msg = f"{name} without a failure: {'; '.join(run.problems)}\n{run.output[-2000:]}"
                    raise RuntimeError(msg)
                calls += run.counts or Counter()
        finally:
            counted.close()
    return calls


class _Queue:
    """Failures that are still to be walked; safe to use from several threads."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        self._left = deque((failure, 0) for failure in failures)
        self._lock = threading.Lock()

    def take(self, count: int) -> dict[Failure, int]:
        """Return up to so many failures of different classes, with the number of runs that have not reached them."""
        with self._lock:
            taken: dict[Failure, int] = {}
            later = []
            while self._left and len(taken) < count:
                failure, tries = self._left.popleft()
                if (tries and taken) or any(failure.call == other.call for other in taken):
                    later.append((failure, tries))
                    if len(later) > count:
                        break
                    continue
                taken[failure] = tries
                if tries:
                    break
            self._left.extendleft(reversed(later))
            return taken

    def put_back(self, failure: Failure, tries: int) -> None:
        """Walk a failure that was not reached again, alone."""
        with self._lock:
            self._left.append((failure, tries))

    def __len__(self) -> int:
        return len(self._left)


def walk(result: Walk, failures: Sequence[Failure], folder: Path, seconds: float, report: Callable[[str], None] = print) -> int:
    """Walk failures until all are walked or the time is over; return how many were."""
    began = time.monotonic()
    queue = _Queue(failures)
    lock = threading.Lock()

    def work(slot: int) -> None:
        with Zygote() as zygote:
            walked = scenario(result.name, folder / f"slot{slot}")
            try:
                walked.run(zygote)
                previous: tuple[Failure, ...] = ()
                while time.monotonic() - began < seconds and (batch := queue.take(TOGETHER)):
                    run = walked.run(zygote, {failure.call.name for failure in batch}, tuple(batch))
                    reached = tuple(run.injected)
                    found = _confirm(walked, zygote, reached, previous) if run.problems else []
                    with lock:
                        result.add(run, batch, queue)
                        _report(result, run, found, report)
                    previous = reached
            finally:
                walked.close()

    threads = [threading.Thread(target=work, args=(slot,)) for slot in range(SLOTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result.seconds += time.monotonic() - began
    return len(failures) - len(queue)


def _report(result: Walk, run: Run, found: Sequence[tuple[Failure, list[str], str]], report: Callable[[str], None]) -> None:
    for culprit, problems, output in found:
        if culprit not in result.found:
            result.found[culprit] = problems
            report(f"FOUND {culprit}: {'; '.join(problems)}\n{output}")
    if run.problems and not found:
        result.unconfirmed.append((tuple(run.injected), run.problems))
        report(f"once {', '.join(map(str, run.injected))}: {'; '.join(run.problems)}\n{run.output[-1500:]}")


def _confirm(
    walked: Scenario, zygote: Zygote, reached: Sequence[Failure], previous: Sequence[Failure]
) -> list[tuple[Failure, list[str], str]]:
    """Walk each failure alone, followed by a run without one; those of the run before only if none of these has a problem."""
    found: list[tuple[Failure, list[str], str]] = []
    for suspects in (reached, previous):
        walked.run(zygote)
        for suspect in suspects:
            run = walked.run(zygote, (suspect.call.name,), (suspect,))
            problems, output = list(run.problems), run.output
            after = walked.run(zygote)
            problems += [f"at the next start: {problem}" for problem in after.problems]
            if problems:
                found.append((suspect, problems, f"{output[-3000:]}\n--\n{after.output[-1000:] if after.problems else ''}"))
        if found:
            break
    return found


def main() -> int:
    """Walk one scenario and print what is found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--only", default="", help="failures whose description contains this text")
    parser.add_argument("--full", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vitald-walk-", dir="/dev/shm") as folder:
        result = Walk(arguments.scenario, count_calls(arguments.scenario, Path(folder)))
        failures = [f for f in failures_of(result.calls, full=arguments.full) if arguments.only in str(f)]
        print(f"{sum(result.calls.values())} calls, {len(result.calls)} classes, {len(failures)} failures", flush=True)
        done = walk(result, failures[arguments.skip :], Path(folder), arguments.seconds, lambda text: print(text, flush=True))
    print(f"{arguments.skip + done} of {len(failures)} done; {result.summary()}")
    return int(bool(result.found))


if __name__ == "__main__":
    sys.exit(main())

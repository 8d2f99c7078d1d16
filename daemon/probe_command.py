"""`vitald probe`: a TCP ping that tells lost SYNs from slow answers."""

from __future__ import annotations

import argparse
import math
import sys
import time
from bisect import bisect_left
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.model import BadInput
from collectors.probe.reasons import LABELS, Outcome, Reason
from collectors.probe.record import BUCKETS
from collectors.probe.resolver import Resolver
from collectors.probe.sweep import Sweeper
from collectors.probe.targets import Target, parse
from collectors.settings import Duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SHORTEST = 0.01  # seconds, for interval and timeout: a hundred SYNs a second to one port is a ping, more is a load
LONGEST = 3600.0
LONG_RUN = 10.0  # seconds, from which on a terminal gets a progress bar
BAR = 40  # characters

_BY_THE_TARGET = {Reason.ANSWERED, Reason.REFUSED, Reason.RESET}  # a SYN-ACK or a RST: its SYN was not lost
_NO_SYN_LEFT = {Reason.DNS_NOT_FOUND, Reason.DNS_TIMEOUT, Reason.DNS_ERROR}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `vitald probe` takes."""
    parser.epilog = "exit status: 0 all answered, 1 some failed, 2 bad usage; Ctrl-C prints the summary"
    parser.add_argument(
        "targets", nargs="+", type=_target, metavar="HOST:PORT", help='"10.0.0.5:22", "[fd00::5]:22" or "db1.internal:5432"'
    )
    parser.add_argument(
        "-c", dest="count", type=_count, default=10, metavar="N", help="tries for each target, 0: until Ctrl-C (%(default)s)"
    )
    parser.add_argument("-i", dest="interval", type=_seconds, default=1.0, metavar="SECONDS", help="from one try to the next (%(default)s)")
    parser.add_argument("--timeout", type=_seconds, default=2.0, metavar="SECONDS", help="how long to wait for an answer (%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Probe until the count is reached or Ctrl-C; prints a line for each try, then a summary. Gives the exit status."""
    targets = list({(target.host.lower(), target.port): target for target in arguments.targets}.values())
    tallies = [Tally(target) for target in targets]
    try:
        with _lines(arguments.count, arguments.interval) as write:
            for outcomes in _rounds(targets, arguments):
                for tally, outcome in zip(tallies, outcomes, strict=True):
                    tally.add(outcome)
                    write(tally.line(outcome))
    except KeyboardInterrupt:
        sys.stdout.write("\n")
    for tally in tallies:
        sys.stdout.write("\n".join(["", *tally.summary(_mark()), ""]))
    return 0 if all(tally.tries and tally.tries == tally.ends[Reason.ANSWERED] for tally in tallies) else 1


@dataclass
class Tally:
    """What became of the tries of one target."""

    target: Target
    tries: int = 0
    sent: int = 0
    answered: int = 0
    ends: Counter[Reason] = field(default_factory=Counter)
    rtts: list[int] = field(default_factory=list)  # µs

    def add(self, outcome: Outcome) -> None:
        """Count one try in."""
        sent, answered = syns(outcome)
        self.tries += 1
        self.sent += sent
        self.answered += answered
        self.ends[outcome.reason] += 1
        if outcome.reason is Reason.ANSWERED and outcome.rtt:
            self.rtts.append(outcome.rtt)

    def line(self, outcome: Outcome) -> str:
        """Say how the newest try ended."""
        sent, answered = syns(outcome)
        words = [f"{self.target.text}  try {self.tries}  {LABELS[outcome.reason]}"]
        if outcome.reason is Reason.ANSWERED:
            words.append(f"rtt {_ms(outcome.rtt)} ms" if outcome.rtt else "rtt unknown (no TCP timestamps)")
        if sent > answered:
            words.append(f"{sent - answered} of {sent} SYNs lost, {outcome.seconds:.2f} s")
        if outcome.router:
            words.append(f"{outcome.router} says so")
        if outcome.own_fault:
            words.append("this host's own fault")
        return "  ".join(words)

    def summary(self, mark: str) -> Iterator[str]:
        """Sum all tries up, a line at a time; `mark` is what bars are made of."""
        yield f"--- {self.target.text} ---"
        ends = ", ".join(f"{number} {LABELS[reason]}" for reason, number in self.ends.most_common())
        yield f"tries: {self.tries}" + (f" ({ends})" if ends else "")
        lost = self.sent - self.answered
        yield f"SYNs: {self.sent} sent, {self.answered} answered, {lost} lost" + (f" ({lost / self.sent:.1%})" if self.sent else "")
        if self.rtts:
            ordered = sorted(self.rtts)
            middle, last = (_ms(ordered[math.ceil(len(ordered) * share) - 1]) for share in (0.5, 0.99))  # nearest rank
            yield f"RTT ms: min {_ms(ordered[0])}, median {middle}, p99 {last}, max {_ms(ordered[-1])}"
            yield from histogram(ordered, mark)


def syns(outcome: Outcome) -> tuple[int, int]:
    """Count the SYNs of one try: how many left this host, and how many of them the target answered (with SYN-ACK or RST)."""
    if outcome.own_fault or outcome.reason in _NO_SYN_LEFT:
        return 0, 0
    return 1 + outcome.retransmits, int(outcome.reason in _BY_THE_TARGET)


def histogram(ordered: Sequence[int], mark: str) -> Iterator[str]:
    """Draw RTTs (µs, ascending) in the metric's own buckets, from the first to the last that holds any."""
    counts = Counter(bisect_left(BUCKETS, rtt * 1e-6) for rtt in ordered)
    most = max(counts.values())
    for bucket in range(min(counts), max(counts) + 1):
        bound = f"<= {BUCKETS[bucket] * 1e3:g}" if bucket < len(BUCKETS) else f"> {BUCKETS[-1] * 1e3:g}"
        yield f"  {bound:>8} ms  {mark * math.ceil(counts[bucket] / most * BAR):<{BAR}}  {counts[bucket]}"


def _rounds(targets: Sequence[Target], arguments: argparse.Namespace) -> Iterator[list[Outcome]]:
    """Probe all targets at once, again and again at the interval."""
    sweeper, resolver = Sweeper(), Resolver(arguments.timeout)
    resolver.want(target.host for target in targets if target.address is None)
    begun, made = time.monotonic(), 0
    try:
        while not arguments.count or made < arguments.count:
            time.sleep(max(0.0, begun + made * arguments.interval - time.monotonic()))
            plan = [target.address or resolver.ask(target.host, target.port) for target in targets]
            outcomes = sweeper.run(plan, arguments.timeout, late=lambda index: resolver.ask(targets[index].host, targets[index].port))
            made += 1
            yield [outcome or Outcome(Reason.OTHER) for outcome in outcomes]
    finally:
        resolver.close()


@contextmanager
def _lines(count: int, interval: float) -> Iterator[Callable[[str], None]]:
    """Give what writes a line; a long run on a terminal has a progress bar below its lines."""
    if not count or count * interval < LONG_RUN or not sys.stdout.isatty():
        yield lambda line: print(line, flush=True)  # noqa: T201 — the command's output
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415 — 6 MB, for terminals only

    with Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), transient=True) as bar:
        task = bar.add_task("", total=None)
        seen: Counter[str] = Counter()

        def write(line: str) -> None:
            bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
            seen[line.partition(" ")[0]] += 1
            bar.update(task, total=count, completed=max(seen.values()))

        yield write


def _ms(microseconds: int) -> str:
    return f"{microseconds / 1e3:.3f}"


def _mark() -> str:
    return "█" if (sys.stdout.encoding or "").lower().startswith("utf") else "#"


def _target(text: str) -> Target:
    try:
        return parse(text)
    except BadInput as bad:
        raise argparse.ArgumentTypeError(str(bad)) from None


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10:  # noqa: PLR2004 — nine digits are thirty years of seconds
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r:.40} is not a number of tries")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = float(Duration.parse(text))
        except ValueError:
            seconds = math.nan
    if SHORTEST <= seconds <= LONGEST:
        return seconds
    raise argparse.ArgumentTypeError(f'{text!r:.40} is not a time from 0.01 to 3600 seconds; write it like 0.5 or "500ms"')

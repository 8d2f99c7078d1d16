"""`vitald probe`: a TCP ping that tells lost SYNs from slow answers."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from typing import TYPE_CHECKING

from collectors.model import BadInput
from collectors.probe.connect.outcome import Outcome, Reason
from collectors.probe.connect.sweep import Sweeper
from collectors.probe.dns.resolver import Resolver
from collectors.probe.targets.target import Target, parse
from collectors.settings import Duration
from daemon.cli.probe import path as probe_path
from daemon.cli.probe.addresses import every_address
from daemon.cli.probe.live import shown
from daemon.cli.probe.stats import Tally, histogram, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHORTEST = 0.01  # seconds, for interval and timeout: a hundred SYNs a second to one port is a ping, more is a load
LONGEST = 3600.0
EACH = 4  # targets, up to which each gets a summary and a histogram of its own


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
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="text with a histogram, or one JSON document at the end (%(default)s)"
    )
    parser.add_argument("--timeout", type=_seconds, default=2.0, metavar="SECONDS", help="how long to wait for an answer (%(default)s)")
    probe_path.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Probe until the count is reached or Ctrl-C, show it as it goes, then sum up. Gives the exit status."""
    written = list({(target.host.lower(), target.port): target for target in arguments.targets}.values())
    targets = every_address(written, arguments.timeout)
    if probe_path.wanted(arguments):
        return probe_path.run(targets, arguments)
    tallies = [Tally(target) for target in targets]
    rounds = probe_path.rounds if arguments.syn else _rounds
    try:
        with shown(tallies, arguments.count, arguments.interval, arguments.format) as show:
            for outcomes in rounds(targets, arguments):
                ended = list(zip(tallies, outcomes, strict=True))
                for tally, outcome in ended:
                    tally.add(outcome)
                show(ended)
    except KeyboardInterrupt:
        if arguments.format == "text":
            sys.stdout.write("\n")
    sys.stdout.writelines(f"{line}\n" for line in _summary(tallies, arguments.format))
    return 0 if all(tally.tries and tally.tries == tally.ends[Reason.ANSWERED] for tally in tallies) else 1


def _summary(tallies: Sequence[Tally], form: str) -> Iterator[str]:
    """Sum up: a few targets each for itself, many in a table and one histogram of all."""
    if form == "json":
        yield json.dumps({"targets": [tally.as_json() for tally in tallies]}, indent=2)
        return
    mark = "█" if (sys.stdout.encoding or "").lower().startswith("utf") else "#"
    if len(tallies) <= EACH:
        for tally in tallies:
            yield from ("", *tally.summary(mark))
        return
    yield from ("", *table(tallies))
    rtts = [rtt for tally in tallies for rtt in tally.rtts]
    if rtts:
        yield from ("", f"all {len(tallies)} targets, {len(rtts)} answers:", *histogram(rtts, mark))


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

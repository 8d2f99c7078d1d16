"""`vitald probe`: TCP ping that distinguishes lost SYNs from slow answers."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from typing import TYPE_CHECKING

from collectors.model import BadInput
from collectors.probe.connect.result import ProbeResult, Reason
from collectors.probe.connect.sweep import Sweeper
from collectors.probe.dns.resolver import Resolver
from collectors.probe.targets.target import Target, parse
from collectors.settings import Duration
from daemon.cli import streams
from daemon.cli.probe import path as probe_path
from daemon.cli.probe.addresses import expand_names
from daemon.cli.probe.live import display
from daemon.cli.probe.stats import ProbeStats, histogram, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MIN_SECONDS = 0.01  # seconds, for interval and timeout: a hundred SYNs a second to one port is a ping, more is a load
MAX_SECONDS = 3600.0
MAX_SUMMARIES = 4  # targets, up to which each gets a summary and a histogram of its own


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `vitald probe`."""
    parser.epilog = "exit status: 0 all answered, 1 some failed, 2 bad usage; Ctrl-C prints the summary"
    text = '"10.0.0.5:22", "[fd00::5]:22" or "db1.internal:5432"'
    parser.add_argument("targets", nargs="+", type=_target, metavar="HOST:PORT", help=text)
    text = "tries for each target, 0: until Ctrl-C (%(default)s)"
    parser.add_argument("-c", dest="count", type=_count, default=10, metavar="N", help=text)
    parser.add_argument("-i", dest="interval", type=_seconds, default=1.0, metavar="SECONDS", help="from one try to the next (%(default)s)")
    text = "text with a histogram, or one JSON document at the end (%(default)s)"
    parser.add_argument("--format", choices=("text", "json"), default="text", help=text)
    parser.add_argument("--timeout", type=_seconds, default=2.0, metavar="SECONDS", help="how long to wait for an answer (%(default)s)")
    probe_path.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Probe until the count is reached or Ctrl-C, print results as they arrive, then a summary. Return the exit status."""
    written = list({(target.host.lower(), target.port): target for target in arguments.targets}.values())
    targets = expand_names(written, arguments.timeout)
    if arguments.mtu or arguments.trace:
        return probe_path.run(targets, arguments)
    stats = [ProbeStats(target) for target in targets]
    rounds = probe_path.rounds if arguments.syn else _rounds
    try:
        with display(stats, arguments.count, arguments.interval, arguments.format) as show:
            for results in rounds(targets, arguments):
                ended = list(zip(stats, results, strict=True))
                for target_stats, result in ended:
                    target_stats.add(result)
                show(ended)
                if streams.is_broken():  # `vitald probe … | head`
                    break
    except KeyboardInterrupt:
        if arguments.format == "text":
            sys.stdout.write("\n")
    sys.stdout.writelines(f"{line}\n" for line in _summary(stats, arguments.format))
    return 0 if all(each.tries and each.tries == each.ends[Reason.ANSWERED] for each in stats) else 1


def _summary(stats: Sequence[ProbeStats], form: str) -> Iterator[str]:
    """Return the lines of the summary: one for each of a few targets, or a table and one histogram of all."""
    if form == "json":
        yield json.dumps({"targets": [each.as_json() for each in stats]}, indent=2)
        return
    mark = "█" if (sys.stdout.encoding or "").lower().startswith("utf") else "#"
    if len(stats) <= MAX_SUMMARIES:
        for each in stats:
            yield from ("", *each.summary(mark))
        return
    yield from ("", *table(stats))
    rtts = [rtt for each in stats for rtt in each.rtts]
    if rtts:
        yield from ("", f"all {len(stats)} targets, {len(rtts)} answers:", *histogram(rtts, mark))


def _rounds(targets: Sequence[Target], arguments: argparse.Namespace) -> Iterator[list[ProbeResult]]:
    """Probe all targets at once, once an interval."""
    sweeper, resolver = Sweeper(), Resolver(arguments.timeout)
    resolver.set_names(target.host for target in targets if target.address is None)
    begun = time.monotonic()
    try:
        for made in range(arguments.count or sys.maxsize):
            time.sleep(max(0.0, begun + made * arguments.interval - time.monotonic()))
            destinations = [target.address or resolver.resolve(target.host, target.port) for target in targets]
            results = sweeper.run(
                destinations, arguments.timeout, resolve=lambda index: resolver.resolve(targets[index].host, targets[index].port)
            )
            yield [result or ProbeResult(Reason.OTHER) for result in results]
    finally:
        resolver.close()


def _target(text: str) -> Target:
    try:
        return parse(text)
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None


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
    if MIN_SECONDS <= seconds <= MAX_SECONDS:
        return seconds
    raise argparse.ArgumentTypeError(f'{text!r:.40} is not a time from 0.01 to 3600 seconds; write it like 0.5 or "500ms"')

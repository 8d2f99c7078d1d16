"""`vitald check`: the command, its exit status and its JSON."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from collectors.model import CollectorContext, Level, Mode, worst_level
from daemon.cli import host_flags
from daemon.cli.check.collector_run import run_collectors
from daemon.config import DEFAULT_SOCKET
from daemon.status import unknown

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from daemon.cli.check.collector_run import CollectorRun


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.epilog = "exit status: 2 if anything is critical, else 1 if there is a warning, else 3 if something is unknown, else 0. %s"
    parser.epilog %= "One look, without history: `vitald status` prints what the daemon knows."
    host_flags.add_arguments(parser)
    parser.add_argument("--format", choices=["table", "json"], default="table", help="(default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Run every enabled collector and print the findings."""
    config = host_flags.load_config(arguments, {})
    with contextlib.ExitStack() as stack:
        listening: tuple[str, ...] = ()
        with contextlib.suppress(OSError):  # without a loopback there is no canary, and the probes report that
            canary = stack.enter_context(socket.create_server(("127.0.0.1", 0)))  # probed to test the path of the probes themselves
            listening = (f"127.0.0.1:{canary.getsockname()[1]}",)
        context = CollectorContext(arguments.procfs, arguments.sysfs, arguments.rootfs, listening, mode=Mode.CHECK)
        runs = run_collectors(config.collectors, context)
    daemon = "" if context.is_recorded else daemon_summary()
    if arguments.format == "json":
        sys.stdout.write(as_json(runs, daemon) + "\n")
    else:
        from daemon.cli.check.table import print_table  # noqa: PLC0415 — rich, which takes longer to import than JSON to print

        print_table(runs, daemon)
    return exit_code(runs)


def exit_code(runs: Sequence[CollectorRun]) -> int:
    """Return the worst level, as Nagios' exit status: a fault that was found, else unknown if a collector could not tell."""
    blind = (Level.UNKNOWN for run in runs if run.obstacle is not None)
    return int(worst_level((*blind, *(verdict.level for run in runs for verdict in run.verdicts))))


def daemon_summary() -> str:
    """Return the counts of the daemon's own findings, with its history; empty if it does not answer this user."""
    from daemon.cli.status import TIMEOUT_SECONDS, StatusUnavailable, fetch, verdicts  # noqa: PLC0415 — after the run

    try:
        return unknown.counts(verdicts(fetch(DEFAULT_SOCKET, TIMEOUT_SECONDS / 5)))
    except (StatusUnavailable, LookupError, TypeError, ValueError):
        return ""


def as_json(runs: Sequence[CollectorRun], daemon: str = "") -> str:
    """Return exit status, findings (healthy subjects too) and each collector's state as one JSON document.

    `needs_history` has what one look cannot judge, by check; `daemon` the counts of the daemon's findings, which has that history.
    """
    findings = [{**asdict(verdict), "level": verdict.level.name.lower()} for run in runs for verdict in run.verdicts]
    states = [
        dict(zip(("name", "state", "detail"), (run.name, *unknown.state_of(run.obstacle, run.unavailable)), strict=True)) for run in runs
    ]
    needs_history = {check: what for run in runs for check, what in run.needs_history.items()}
    document = {"exit": exit_code(runs), "findings": findings, "collectors": states, "needs_history": needs_history, "daemon": daemon}
    return json.dumps(document, indent=2, ensure_ascii=True, default=str)

"""`vitald check`: the command, its collector runs, its exit status and its JSON."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from collectors.model import CollectorContext, Level, Mode, Unavailable
from collectors.registry import COLLECTORS
from daemon.cli import host_flags
from daemon.job import CollectorJob

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from collectors.model import Report, Verdict
    from collectors.panel import Panel
    from collectors.settings import Settings

UNKNOWN = 3  # exit status, as Nagios defines it
DEADLINE_SECONDS = 20.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.epilog = "exit status: 0 healthy, 1 warning, 2 critical, 3 unknown"
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
    if arguments.format == "json":
        sys.stdout.write(as_json(runs) + "\n")
    else:
        from daemon.cli.check.table import print_table  # noqa: PLC0415 — rich, which takes longer to import than JSON to print

        print_table(runs)
    return exit_code(runs)


class CollectorRun:
    """One collector's run, in its own thread, so that a collector that hangs costs only its own result."""

    def __init__(self, name: str, settings: Settings, context: CollectorContext) -> None:
        self.name = name
        self.report: Report | None = None
        self.panels: list[Panel] = []
        self.error = ""
        self.unavailable = ""
        self.job: CollectorJob | None = None
        self._thread: threading.Thread | None = None
        with self._catch():
            self.job = CollectorJob(COLLECTORS[name](settings, context), settings)

    @property
    def verdicts(self) -> Sequence[Verdict]:
        """Verdicts of the run, none if it failed."""
        return self.report.verdicts if self.report and not self.error else ()

    def start(self, jobs: Callable[[str], CollectorJob | None]) -> None:
        """Start the run; `jobs` finds the job of another collector by name."""
        if self.job is not None:
            self._thread = threading.Thread(target=self._run, args=(self.job, jobs), daemon=True, name=f"vitald-check-{self.name}")
            self._thread.start()

    def wait(self, deadline: float) -> None:
        """Wait until the run has ended, or until `deadline` (monotonic)."""
        if self._thread is None:
            return
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self.error = f"timed out after {DEADLINE_SECONDS:.0f} s"

    def _run(self, job: CollectorJob, jobs: Callable[[str], CollectorJob | None]) -> None:
        with self._catch():
            for again in range(job.collector.passes):
                if again:
                    time.sleep(1)  # a rate needs two readings
                self.report = job.run_once(jobs)
            self.panels = job.panels()

    @contextlib.contextmanager
    def _catch(self) -> Iterator[None]:
        try:
            yield
        except Unavailable as error:
            self.unavailable = f"{error} ({error.reason})"
        except Exception as error:  # noqa: BLE001 — a collector's failure is part of the result
            self.error = f"{type(error).__name__}: {error}"


def run_collectors(collectors: Mapping[str, Settings], context: CollectorContext) -> list[CollectorRun]:
    """Run all enabled collectors concurrently, for at most `DEADLINE_SECONDS`."""
    runs = [CollectorRun(name, settings, context) for name, settings in collectors.items() if settings.enabled]
    jobs = {run.name: run.job for run in runs}
    for run in runs:
        run.start(jobs.get)
    deadline = time.monotonic() + DEADLINE_SECONDS
    for run in runs:
        run.wait(deadline)
    return runs


def exit_code(runs: Sequence[CollectorRun]) -> int:
    """Return the worst level; `UNKNOWN` if that is healthy and a collector failed."""
    worst = max((verdict.level for run in runs for verdict in run.verdicts), default=Level.HEALTHY)
    if worst is Level.HEALTHY and any(run.error for run in runs):
        return UNKNOWN
    return int(worst)


def as_json(runs: Sequence[CollectorRun]) -> str:
    """Return exit status, findings (healthy subjects too) and each collector's state as one JSON document."""
    document: dict[str, Any] = {
        "exit": exit_code(runs),
        "findings": [
            {
                "check": verdict.check,
                "subject": verdict.subject,
                "level": verdict.level.name.lower(),
                "message": verdict.message,
                "evidence": dict(verdict.evidence),
                "remediation": verdict.remediation,
            }
            for run in runs
            for verdict in run.verdicts
        ],
        "collectors": [
            {
                "name": run.name,
                "state": "failed" if run.error else "absent" if run.unavailable else "ok",
                "detail": run.error or run.unavailable,
            }
            for run in runs
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=True, default=str)

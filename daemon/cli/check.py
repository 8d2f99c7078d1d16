"""`vitald check`: every collector once, and what is wrong, for people, pipelines and Nagios."""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from collectors.model import Level, Unavailable
from collectors.registry import COLLECTORS
from collectors.text import printable
from daemon.job import CollectorJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.table import Table

    from collectors.model import CollectorContext, Report, Verdict
    from collectors.panel import Panel
    from collectors.settings import Settings

COULD_NOT_TELL = 3
DEADLINE_SECONDS = 20.0


class Look:
    """One collector's look at the host, in a thread of its own, so that a hung one costs its own answer only."""

    def __init__(self, name: str, settings: Settings, context: CollectorContext) -> None:
        self.name = name
        self.report: Report | None = None
        self.panels: list[Panel] = []
        self.problem = ""
        self.absent = ""
        self.job: CollectorJob | None = None
        self._thread: threading.Thread | None = None
        with self._caught():
            self.job = CollectorJob(COLLECTORS[name](settings, context), settings)

    def start(self, jobs: Callable[[str], CollectorJob | None]) -> None:
        """Run the collector in a thread of its own; `jobs` finds the others' jobs."""
        if self.job is not None:
            self._thread = threading.Thread(target=self._run, args=(self.job, jobs), daemon=True, name=f"vitald-check-{self.name}")
            self._thread.start()

    def wait(self, deadline: float) -> None:
        """Wait until the look is over, or until `deadline` (monotonic)."""
        if self._thread is None:
            return
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self.problem = f"did not answer within {DEADLINE_SECONDS:.0f} s"

    def _run(self, job: CollectorJob, jobs: Callable[[str], CollectorJob | None]) -> None:
        with self._caught():
            for again in range(job.collector.passes):
                if again:
                    time.sleep(1)  # a rate needs two readings
                self.report = job.run_once(jobs)
            self.panels = job.panels()

    @contextmanager
    def _caught(self) -> Iterator[None]:
        try:
            yield
        except Unavailable as why:
            self.absent = f"{why} ({why.reason})"
        except Exception as error:  # noqa: BLE001 — one collector's failure is one line of the answer
            self.problem = f"{type(error).__name__}: {error}"


def look(collectors: Mapping[str, Settings], context: CollectorContext) -> list[Look]:
    """Run every collector that is switched on, side by side."""
    looks = [Look(name, settings, context) for name, settings in collectors.items() if settings.enabled]
    jobs = {one.name: one.job for one in looks}
    for one in looks:
        one.start(jobs.get)
    deadline = time.monotonic() + DEADLINE_SECONDS
    for one in looks:
        one.wait(deadline)
    return looks


def exit_code(looks: Sequence[Look]) -> int:
    """Give the worst verdict; 3 where nothing is known to be wrong but something could not be looked at."""
    worst = max((verdict.level for verdict in _verdicts(looks)), default=Level.HEALTHY)
    if worst is Level.HEALTHY and any(one.problem for one in looks):
        return COULD_NOT_TELL
    return int(worst)


def _verdicts(looks: Sequence[Look]) -> Iterator[Verdict]:
    for one in looks:
        if one.report and not one.problem:
            yield from one.report.verdicts


def as_json(looks: Sequence[Look]) -> str:
    """Write everything that was found as one JSON document."""
    document: dict[str, Any] = {
        "exit": exit_code(looks),
        "findings": [
            {
                "check": verdict.check,
                "subject": verdict.subject,
                "level": verdict.level.name.lower(),
                "message": verdict.message,
                "evidence": dict(verdict.evidence),
                "remediation": verdict.remediation,
            }
            for verdict in _verdicts(looks)
        ],
        "collectors": [
            {"name": one.name, "state": "failed" if one.problem else "absent" if one.absent else "ok", "detail": one.problem or one.absent}
            for one in looks
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=True, default=str)


def print_table(looks: Sequence[Look]) -> None:
    """Print what is wrong with its evidence and its remediation, worst first; what is well in one line a check."""
    from rich.console import Console  # noqa: PLC0415 — 6 MB that `run` must not pay
    from rich.text import Text  # noqa: PLC0415

    from daemon.cli.panels import show  # noqa: PLC0415

    console = Console(highlight=False)
    verdicts = list(_verdicts(looks))
    if bad := sorted((v for v in verdicts if v.level), key=lambda v: (-v.level, v.check, v.subject)):
        console.print(_findings(bad))
    for check in sorted({verdict.check for verdict in verdicts if not verdict.level}):
        subjects = [printable(verdict.subject) for verdict in verdicts if verdict.check == check and not verdict.level]
        more = f" and {len(subjects) - 5} more" if len(subjects) > 5 else ""  # noqa: PLR2004 — as many as fit a line
        console.print(Text.assemble(("healthy ", "green"), f"{check}: {', '.join(subjects[:5])}{more}"))
    for one in looks:
        if one.problem or one.absent:
            word, colour = ("could not tell", "magenta") if one.problem else ("not here", "dim")
            console.print(Text.assemble((f"{word} ", colour), f"{one.name}: {printable(one.problem or one.absent)}"))
    for one in looks:
        for panel in one.panels:
            show(console, panel)
    if not looks:
        sys.stdout.write("no collector is switched on\n")


def _findings(verdicts: Sequence[Verdict]) -> Table:
    """Lay out findings so that 80 columns are enough: what it is about on the left, what there is to know on the right."""
    from rich.box import HORIZONTALS  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    style = {Level.WARNING: "yellow", Level.CRITICAL: "bold red"}
    table = Table("finding", "what is wrong, the evidence, what to do", box=HORIZONTALS, show_lines=True, pad_edge=False)
    table.columns[0].overflow = "fold"
    table.columns[1].overflow = "fold"
    for verdict in verdicts:
        name = Text.assemble((verdict.level.name, style[verdict.level]), "\n", verdict.check, "\n", printable(verdict.subject))
        facts = ", ".join(f"{key.replace('_', ' ')} {printable(_words(value))}" for key, value in verdict.evidence.items())
        rows = [("wrong", printable(verdict.message), ""), ("evidence", facts, "dim"), ("do", printable(verdict.remediation), "")]
        inner = Table.grid(padding=(0, 1))
        for label, words, look_like in rows:
            if words:
                inner.add_row(Text(label, "dim"), Text(words, look_like, overflow="fold"))
        table.add_row(name, inner)
    return table


def _words(value: Any) -> str:  # noqa: ANN401 — whatever a collector holds for evidence
    """Write a fact as people do: tables and lists without their brackets."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return "; ".join(map(_words, value)) or "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)

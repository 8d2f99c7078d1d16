"""bench/RESULTS.md: a table for each issue. Rows of benches that were not run this time stay, with the run they come from."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import subprocess
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HEAD = """# Measured

Written by `make bench`; not by hand. Each number was printed by the run its row names, beside its peer in that same run: the machines
are shared and noisy, so the ratio says more than the number. `make bench ONLY=name` runs one bench and keeps the other rows.
"""


RESULTS = Path(__file__).parents[2] / "bench/RESULTS.md"


@dataclass(frozen=True, slots=True)
class Row:
    """One measure. `met` is None for a figure without a bar; `reason` says why a bar was missed, or what else to know."""

    measure: str
    bar: str
    vitald: str
    peer: str
    ratio: str
    met: bool | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A row as it stands in the file."""

    bench: str
    measure: str
    bar: str
    vitald: str
    peer: str
    ratio: str
    verdict: str
    run: str


def lines(bench: str, rows: Iterable[Row], run: str) -> list[Line]:
    """Format a bench's rows."""
    word = {True: "met", False: "**MISSED**", None: "for the record"}
    return [
        Line(bench, row.measure, row.bar, row.vitald, row.peer, row.ratio, word[row.met] + (f": {row.reason}" if row.reason else ""), run)
        for row in rows
    ]


@dataclass(frozen=True)
class Results:
    """What the file holds: lines by issue, and what is known of each run by its date."""

    issues: dict[int, list[Line]]
    runs: dict[str, str]

    @classmethod
    def read(cls, file: Path) -> Results:
        """Read the file; nothing, where there is none."""
        issues: dict[int, list[Line]] = {}
        runs: dict[str, str] = {}
        issue = 0
        for text in file.read_text().splitlines() if file.exists() else ():
            if match := re.fullmatch(r"## Issue (\d+)", text):
                issue = int(match[1])
            elif match := re.fullmatch(r"- `(\S+)` (.*)", text):
                runs[match[1]] = match[2]
            elif text.startswith("|"):
                cells = [cell.strip() for cell in text.strip("|").split(" | ")]
                if len(cells) == len(fields(Line)) and cells[0] != "bench" and not cells[0].startswith("-"):
                    issues.setdefault(issue, []).append(Line(*cells))
        return cls(issues, runs)

    def replaced(self, issue: int, bench: str, new: Sequence[Line], run: str, about: str) -> Results:
        """Put a bench's new lines where its old ones were, or at the end; forget runs that no line names any more."""
        old = self.issues.get(issue, [])
        place = next((index for index, line in enumerate(old) if line.bench == bench), len(old))
        kept = [line for line in old if line.bench != bench]
        issues = {**self.issues, issue: [*kept[:place], *new, *kept[place:]]}
        named = {line.run for table in issues.values() for line in table}
        return Results(issues, {date: words for date, words in {**self.runs, run: about}.items() if date in named})

    def text(self) -> str:
        """Format the whole file."""
        parts = [_HEAD]
        titles = [field.name for field in fields(Line)]
        for issue, table in sorted(self.issues.items()):
            rows = [titles, ["-"] * len(titles), *(list(astuple(line)) for line in table)]
            parts.append(f"## Issue {issue}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows))
        parts.append("## Runs\n\n" + "".join(f"- `{date}` {words}\n" for date, words in sorted(self.runs.items())))
        return "\n".join(parts)


def now() -> str:
    """Return the name of a run: its start, in UTC."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def machine(command: str) -> str:
    """Return the line that describes a run: machine, versions and command."""
    cpus = re.findall(r"^(?:model name|Model)\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    peers = ("prometheus", "prometheus-node-exporter", "prometheus-blackbox-exporter", "mtail", "stress-ng")
    versions = [f"{name} {version}" for name in peers if (version := debian_version(name))]
    commit = _git("rev-parse", "--short", "HEAD") + (" with changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
    system = f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
    return f"{cpus[0] if cpus else platform.machine()}, {system}; vitald {commit}, {', '.join(versions)}; `{command}`"


def debian_version(package: str) -> str:
    """Return an installed package's version; empty where it is not installed."""
    return _said("dpkg-query", "--showformat=${Version}", "--show", package)


def _git(*words: str) -> str:
    return _said("git", "-C", str(Path(__file__).parent), *words)


def _said(*argv: str) -> str:
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def show(line: Line) -> None:
    """Print a row as it is written."""
    print(
        f"{line.bench}: {line.measure}\n    bar {line.bar} · vitald {line.vitald} · peer {line.peer} · ratio {line.ratio} · {line.verdict}"
    )

"""Mutation testing of what judges: how many of mutmut's changes of the code the tests notice. pyproject.toml says which modules."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

from tests.kit.program import BenchError
from tests.kit.results import Row

if TYPE_CHECKING:
    from pathlib import Path

ISSUE = 12
BAR = 0.90
_LINE = re.compile(r"^\s*(?P<module>[\w.]+)\.x\S*__mutmut_\d+: (?P<state>.+)$", re.MULTILINE)
KILLED = {"killed", "timeout", "segfault", "caught by type check"}


def measure(folder: Path) -> list[Row]:  # noqa: ARG001 — mutmut has a folder of its own, `mutants/`
    """Run mutmut over all of them; about an hour on two quiet cores. Return a row for each module, and one for all."""
    program = [sys.executable, "-m", "mutmut"]
    shutil.rmtree("mutants", ignore_errors=True)
    if subprocess.run([*program, "run"], check=False, stdout=subprocess.DEVNULL).returncode:
        raise BenchError("mutmut run failed: python -m mutmut run")
    listed = subprocess.run([*program, "results", "--all", "true"], check=True, capture_output=True, text=True).stdout
    states: dict[str, Counter[str]] = {}
    for match in _LINE.finditer(listed):
        states.setdefault(match["module"], Counter())[match["state"]] += 1
    if not states:
        raise BenchError("mutmut made no mutants")
    rows = [_row(module, counts) for module, counts in sorted(states.items())]
    return [*rows, _row("all of them", sum(states.values(), Counter()), bar=True)]


def _row(name: str, counts: Counter[str], *, bar: bool = False) -> Row:
    killed, total = sum(counts[state] for state in KILLED), counts.total()
    rest = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()) if state != "killed")
    met = killed >= BAR * total if bar else None
    return Row(
        f"mutants of {name} that the tests kill",
        f"≥ {BAR:.0%}" if bar else "-",
        f"{killed} of {total}",
        "-",
        f"{killed / total:.1%}",
        met,
        rest,
    )

"""Runs the benches, prints their rows and writes RESULTS.md. `python -m bench [NAME…]`; no name means all.

A bench is a module of this folder with `ISSUE` (a number) and `measure(folder: Path) -> list[Row]`.
For a quick try: `VITALD_BENCH_SECONDS=20 VITALD_BENCH_MINUTES=1 VITALD_BENCH_SCRAPES=100`; the command is written beside the rows.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import tempfile
from pathlib import Path

from tests.kit.program import BenchError
from tests.kit.results import RESULTS, Results, Row, lines, machine, now, show


def benches() -> dict[str, int]:
    """Find every bench and its issue."""
    names = [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.name != "__main__"]
    return {name: issue for name in names if (issue := getattr(importlib.import_module(f"bench.{name}"), "ISSUE", None))}


def run(name: str, folder: Path) -> list[Row]:
    """Run one bench; one that could not be run is a missed one."""
    try:
        found: list[Row] = importlib.import_module(f"bench.{name}").measure(folder)
    except BenchError as error:
        found = [Row(name, "runs", "-", "-", "-", met=False, reason=" ".join(str(error).replace("|", "/").split()))]
    return found


def main() -> int:
    """Run what was asked for; the exit status is 1 if a bar was missed."""
    known = benches()
    wanted = sys.argv[1:] or sorted(known, key=lambda name: (known[name], name))
    if unknown := [name for name in wanted if name not in known]:
        print(f"bench: no bench named {', '.join(unknown)}; there are {', '.join(sorted(known))}", file=sys.stderr)
        return 2
    tuning = [f"{key}={value}" for key, value in sorted(os.environ.items()) if key.startswith("VITALD_BENCH_")]
    command = " ".join([*tuning, "make bench", *([f"ONLY={' '.join(sys.argv[1:])}"] if sys.argv[1:] else [])])
    date, about, missed = now(), machine(command), False
    print(about)
    for name in wanted:
        with tempfile.TemporaryDirectory(prefix="vitald-bench-") as folder:
            rows = run(name, Path(folder))
        found = lines(name, rows, date)
        for line in found:
            show(line)
        missed |= any(row.met is False for row in rows)
        RESULTS.write_text(Results.read(RESULTS).replaced(known[name], name, found, date, about).text())  # each at once: Ctrl-C keeps it
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())

"""Fuzzes targets by coverage and writes a row for each into bench/RESULTS.md: `make fuzz ONLY=logs.kmsg SECONDS=60`.

Names may be a room (`logs`). New inputs that reach more are kept in corpus/. The exit status is 1 if anything was found.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz import child, corpus
from tests.fuzz.execution import Find
from tests.fuzz.registry import targets
from tests.fuzz.target import ROOT, Target
from tests.kit.results import RESULTS, Results, Row, lines, machine, now, show

_ISSUE = 12
_SECONDS = float(os.environ.get("SECONDS_EACH", "60"))
_SPARE = 300.0  # seconds for the import of instrumented modules, and for stretching


def run(target: Target, folder: Path) -> Row:
    """Fuzz one target, keep its inputs, print its finds and return its row."""
    (folder / "inputs").mkdir()
    for number, data in enumerate({*target.seeds(), *corpus.load(target.name), b""}):
        (folder / f"inputs/{number}").write_bytes(data[: target.length])
    output = _child(folder, "fuzz", target.name, str(_SECONDS), str(folder))
    output += _child(folder, "measure", target.name, str(folder))
    executions = max(map(int, _numbers(output)), default=0)
    edges = max(map(int, re.findall(r" cov: (\d+) ", output)), default=0)
    measured = json.loads((folder / "coverage.json").read_text()) if (folder / "coverage.json").exists() else None
    finds = child.read(folder)
    for find in finds:
        print(f"  FOUND {find['kind']} at {find['place']}: {find['reason']}\n    input {find['input'][:400]}")
    if measured is None:
        print(output[-2000:])
        return Row(target.name, "no find", "the process did not survive", "-", "-", met=False)
    corpus.save(target.name, map(bytes.fromhex, measured["kept"]))
    share = 100 * measured["reached"] / max(1, measured["lines"])
    figures = f"{executions + measured['stretched']:,} executions, {edges} edges, {share:.0f} % of {measured['lines']} lines"
    kept = f"{len(measured['kept'])} inputs of {sum(map(len, measured['kept'])) // 2:,} bytes kept"
    reason = "; ".join(f"{find['kind']} at {find['place']}" for find in finds)
    return Row(target.name, "no find", f"{figures}; {kept}", "-", "-", met=not finds, reason=reason)


def _numbers(output: str) -> list[str]:
    return [*re.findall(r"^#(\d+)\t", output, re.MULTILINE), *re.findall(r"number_of_executed_units: (\d+)", output)]


def _child(folder: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    try:
        done = subprocess.run(
            (sys.executable, "-m", "tests.fuzz.child", *words),
            cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace", check=False, timeout=_SECONDS + _SPARE,
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        child.Finds(folder).add(Find("slow", words[1], f"{words[0]} did not end"), b"")
        return (late.stderr or b"").decode(errors="replace")
    if done.returncode:
        child.Finds(folder).add(Find("crash", words[1], f"{words[0]} ended with status {done.returncode}: {done.stderr[-400:]}"), b"")
    return done.stderr


def main() -> int:
    """Run, print and store the rows."""
    known = targets()
    wanted = [name for name in known if not sys.argv[1:] or name in sys.argv[1:] or name.partition(".")[0] in sys.argv[1:]]
    if not wanted:
        print(f"fuzz: no target of {' '.join(sys.argv[1:])}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    if find_spec("atheris") is None:
        print("fuzz: atheris is not installed; expected x86-64 and `make fuzz`, which installs requirements-fuzz.lock", file=sys.stderr)
        return 2
    only = f" ONLY='{' '.join(sys.argv[1:])}'" if sys.argv[1:] else ""
    date, about, failed = now(), machine(f"make fuzz{only} SECONDS={_SECONDS:.0f}"), False
    for name in wanted:
        with tempfile.TemporaryDirectory(prefix="vitald-fuzz-") as folder:
            found = lines("fuzz", [run(known[name], Path(folder))], date)
        show(found[0])
        failed |= "MISSED" in found[0].verdict
        results = Results.read(RESULTS)
        others = [
            line for line in results.issues.get(_ISSUE, []) if line.bench == "fuzz" and line.measure != name and line.measure in known
        ]
        rows = sorted([*others, *found], key=lambda line: line.measure)
        RESULTS.write_text(results.replaced(_ISSUE, "fuzz", rows, date, about).text())  # each at once: Ctrl-C keeps it
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

"""Before and after the restructuring of issue 10, in one run: CPU per probe, resident memory, lines of code.

Before is the commit `BASE`, taken from this repository's history and run with the same interpreter and libraries.
"""

from __future__ import annotations

import ast
import io
import socket
import subprocess
import time
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

from bench.memory import peak, watch
from bench.probe_cpu import settings
from bench.probe_fleet import LENGTH, TARGETS, WARM_UP, blackbox_cost
from tests.kit import peers
from tests.kit.figures import ratio, seconds
from tests.kit.program import BenchError
from tests.kit.results import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

ISSUE = 10
BASE = "bf336b2"
BAR = 1 / 10  # of blackbox_exporter's CPU per probe
ROUNDS = 10  # of bare connects
ROOT = Path(__file__).parents[1]
PROGRAM = ("collectors", "daemon", "exporters")
OTHERS = ("bench", "docs", "tools")  # docs/ held programs before
_NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def measure(folder: Path) -> list[Row]:
    """Run the daemon of `BASE` and of this checkout one after the other; memory side by side."""
    base = folder / "base"
    base.mkdir()
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", BASE], capture_output=True, check=False)
    if archive.returncode:
        raise BenchError(f"commit {BASE} is not in this repository's history: clone it whole")
    subprocess.run(["tar", "-x", "-C", str(base)], input=archive.stdout, check=True)
    return [probes(folder, base), memory(folder, base), *lines(base)]


def probes(folder: Path, base: Path) -> Row:
    """Compare CPU per probe with 1,000 targets a second, scraped each 15 s, with every default collector."""
    costs = []
    for name, tree in (("before", base), ("after", ROOT)):
        with (
            peers.listeners(folder, TARGETS) as targets,
            peers.vitald(folder, _settings(targets, tree), name=name, tree=tree) as daemon,
            peers.prometheus(folder, peers.scrape_job("vitald", [daemon], "15s")),
        ):
            time.sleep(WARM_UP)
            cpu, made = daemon.program.cpu_seconds(), daemon.total("vitald_probe_attempts_total")
            time.sleep(LENGTH)
            costs.append((daemon.program.cpu_seconds() - cpu) / (daemon.total("vitald_probe_attempts_total") - made))
    before, after = costs
    theirs, pace = blackbox_cost(folder)
    with peers.listeners(folder, TARGETS) as targets:
        floor = bare_connects(targets)
    return Row(
        f"CPU per probe, {TARGETS} targets a second, scraped each 15 s, {LENGTH:.0f} s",
        "≤ 1/10",
        f"{seconds(after)}; before {seconds(before)}, {ratio(before, theirs)}",
        f"blackbox_exporter {seconds(theirs)} ({pace})",
        ratio(after, theirs),
        after <= BAR * theirs,
        f"socket(), connect() and close() alone, in a loop, take {seconds(floor)}, {ratio(floor, theirs)}",
    )


def bare_connects(targets: list[str]) -> float:
    """Return the CPU seconds of one TCP connect and close without a probe around it: what no prober on this machine can be below."""
    cpu = time.process_time()
    for _ in range(ROUNDS):
        for target in targets:
            host, _, port = target.rpartition(":")
            with socket.socket() as sock:
                sock.connect((host, int(port)))
    return (time.process_time() - cpu) / (ROUNDS * len(targets))


def memory(folder: Path, base: Path) -> Row:
    """Compare the most resident memory with defaults, both scraped each 5 s at the same time."""
    with (
        peers.vitald(folder, name="old", tree=base) as before,
        peers.vitald(folder, name="new", tree=ROOT) as after,
        peers.prometheus(folder, peers.scrape_job("all", [before, after])),
    ):
        old, new, *_ = watch([before, after])
    return Row(
        "resident memory, the most seen with defaults, a scrape each 5 s",
        "not more than before",
        f"{peak(new) / 1e6:.1f} MB; before {peak(old) / 1e6:.1f} MB",
        "-",
        ratio(peak(new), peak(old)),
        peak(new) <= peak(old),
    )


def lines(base: Path) -> Iterator[Row]:
    """Compare lines of Python: all of them, and those that hold code. Tests and their kit are not counted, drills and soak neither."""
    for title, folders, reason in (
        ("lines of the program (collectors, daemon, exporters)", PROGRAM, ""),
        ("lines of program, bench and tools", (*PROGRAM, *OTHERS), "of bench, what tests and drills share is in tests/ now"),
    ):
        old, new = count(base, folders), count(ROOT, folders)
        yield Row(
            title,
            "fewer than before",
            f"{new[0]:,}, of which code {new[1]:,}; before {old[0]:,} and {old[1]:,}",
            "-",
            ratio(new[1], old[1]),
            new[0] < old[0] and new[1] < old[1],
            reason,
        )


def count(tree: Path, folders: tuple[str, ...]) -> tuple[int, int]:
    """Count the lines of all modules, and those with a token that is neither a comment nor part of a docstring."""
    whole = code = 0
    for path in (path for folder in folders for path in (tree / folder).rglob("*.py")):
        text = path.read_text()
        whole += len(text.splitlines())
        code += len(_code_lines(text))
    return whole, code


def _code_lines(text: str) -> set[int]:
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            found.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False) is not None:
            found -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return found


def _settings(targets: list[str], tree: Path) -> str:
    return settings(targets) if tree is ROOT else settings(targets).replace("interval = ", "every = ")

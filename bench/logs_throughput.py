"""Throughput over old logs: `vitald scan` with the whole shipped pack beside mtail with the same patterns and `grep -cF` with one."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench import mtail
from collectors.logs.matching.packs import load
from daemon.cli.scan.workers import processes
from tests.kit import syslog
from tests.kit.program import BenchError, free_port
from tests.kit.results import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

ISSUE = 5
_SIZE = int(float(os.environ.get("VITALD_BENCH_GIGABYTES", "1")) * 1e9)
_SLICE = 5_000_000  # bytes for mtail, which would need an hour for all of it
_TIMES = 5
_WORD = "No DHCPOFFERS received"


def measure(folder: Path) -> list[Row]:
    """Compare the three on one file, taking turns; each program's best run counts, from its start to its end."""
    file, part = folder / "syslog", folder / "syslog.part"
    lines, faults = syslog.write(file, _SIZE)
    part_faults = _slice(file, part)
    vitald = [str(Path(sys.executable).with_name("vitald")), "scan", "--format=json"]
    environment = {"XDG_CACHE_HOME": str(folder)}
    result = json.loads(_run([*vitald, str(part)], environment)[2])  # compiles and caches the database
    _refuse_unless(sum(event["count"] for event in result["events"]) == part_faults, f"vitald found {result['events']}")
    ours, grep, alone = [], [], []
    for _ in range(_TIMES):
        grep.append(_run(["grep", "-cF", _WORD, str(file)], {"LC_ALL": "C"})[:2])
        ours.append(_run([*vitald, str(file)], environment)[:2])
        alone.append(_run(["taskset", "-c", str(min(os.sched_getaffinity(0))), *vitald, str(file)], environment)[:2])
    theirs, counted = _mtail(folder, part)
    size = file.stat().st_size
    (fast, _), (grep_fast, _), (one, _) = min(ours), min(grep), min(alone)
    cpu, grep_cpu = (min(used for _, used in runs) for runs in (alone, grep))  # which other load affects less
    about = f"{size / 1e9:.2f} GB, {lines:,} lines, {faults / lines:.1%} faults, {len(load().signatures)} signatures"
    slow = part.stat().st_size / theirs
    against = f"mtail {_rate(slow)} on the first {part.stat().st_size / 1e6:.0f} MB ({counted} of {part_faults} faults)"
    fixed = f"grep {_rate(size / grep_fast)}"
    one_cpu = f"{_rate(size / one)}, {cpu:.2f} s of CPU"
    met = fast <= 3 * grep_fast
    many = f"vitald in {processes()} processes, grep in one; the next row has both in one"
    busy = many if met else f"{many}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"
    return [
        Row(f"scan; {about}", "≥ 20", _rate(size / fast), against, f"{size / fast / slow:.0f}", size / fast >= 20 * slow),
        Row("beside `grep -cF` with one string", "≥ 1/3", _rate(size / fast), fixed, _share(grep_fast, fast), met, busy),
        Row("the same with one CPU for vitald", "-", one_cpu, fixed, _share(grep_fast, one), None),
        Row(
            "CPU for all of it, beside `grep -cF`",
            "≤ 3",
            f"{cpu:.2f} s",
            f"grep {grep_cpu:.2f} s",
            f"{cpu / grep_cpu:.1f}",
            cpu <= 3 * grep_cpu,
        ),
    ]


def _slice(file: Path, part: Path) -> int:
    """Copy the file's first lines; return how many of the packs' samples are among them."""
    with file.open("rb") as source:
        data = source.read(_SLICE)
    data = data[: data.rfind(b"\n") + 1]
    part.write_bytes(data)
    samples = {line.encode() for signature in load(samples=True).signatures for line in signature.match}
    return sum(line in samples for line in data.split(b"\n"))


def _mtail(folder: Path, part: Path) -> tuple[float, int]:
    """Run mtail over the part; return its seconds and how many lines it counted."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "packs.mtail").write_text(mtail.program(load().signatures))
    argv = ["mtail", "-one_shot", "-progs", str(programs), "-logs", str(part), "-address", "127.0.0.1", "-port", str(free_port())]
    wall, _, output = _run(argv, {})
    metrics = json.loads(output[output.index("{") :])["events"]
    return wall, sum(int(value["Value"]["Value"]) for metric in metrics for value in metric.get("LabelValues", ()))


def _run(argv: Sequence[str], environment: dict[str, str]) -> tuple[float, float, str]:
    """Return wall clock and CPU seconds, the latter of all its processes, and what it printed."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    try:
        done = subprocess.run(argv, env={**os.environ, **environment}, capture_output=True, check=False, timeout=900)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(str(error)) from None
    wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    _refuse_unless(done.returncode in {0, 1}, f"{argv[0]} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout.decode()


def _refuse_unless(right: bool, reason: str) -> None:  # noqa: FBT001 — reads as a sentence
    if not right:
        raise BenchError(reason)


def _rate(rate: float) -> str:
    return f"{rate / 1e9:.2f} GB/s" if rate >= 1e8 else f"{rate / 1e6:.2f} MB/s"


def _share(theirs: float, ours: float) -> str:
    return f"{theirs / ours:.2f}"

"""The whole agent beside the three programs that do their part of its work: 20 targets, 50 log lines a second, a scrape each 5 s."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from bench import mtail
from collectors.logs.matching.packs import load
from tests.kit import peers, syslog
from tests.kit.figures import per_minute, ratio, second_half, theil_sen
from tests.kit.program import Program, free_port
from tests.kit.results import Row

if TYPE_CHECKING:
    from pathlib import Path

ISSUE = 7
CPU_BAR = 1 / 2
MEMORY_BAR = 0.85
_MINUTES = float(os.environ.get("VITALD_BENCH_MINUTES", "30"))
_TARGETS = 20
_LINES = 50  # a second
_WARM = 30.0  # seconds until all have compiled, resolved and looked once


def measure(folder: Path) -> list[Row]:
    """Run all four over the same targets and the same log, scraped by one Prometheus."""
    source, log, programs, port = folder / "source.log", folder / "app.log", folder / "programs", free_port()
    syslog.write(source, 8_000_000)
    log.touch()
    programs.mkdir()
    (programs / "packs.mtail").write_text(mtail.program(load().signatures))
    mtail_command = ["mtail", "-progs", str(programs), "-logs", str(log), "-address", "127.0.0.1", "-port", str(port)]
    with (
        peers.listeners(folder, _TARGETS) as targets,
        peers.vitald(folder, f'[probe]\ntargets = {targets}\n[logs]\nfiles = ["{log}"]\n') as vitald,
        peers.node_exporter(folder) as node,
        peers.blackbox(folder) as blackbox,
        Program("mtail", mtail_command, folder) as tail,
        peers.prometheus(
            folder,
            peers.scrape_job("all", [vitald, node, peers.Served(tail, port)]),
            peers.probe_job(blackbox, targets, "5s"),
        ) as prometheus,
    ):
        tail.wait_for(port)
        ended = threading.Event()
        writer = threading.Thread(target=write, args=(source, log, ended))
        writer.start()
        try:
            time.sleep(_WARM)
            four = (vitald.program, node.program, blackbox.program, tail)
            before, began = [one.cpu_seconds() for one in four], time.monotonic()
            most, course = watch(four)
            ours, *theirs = [one.cpu_seconds() - first for one, first in zip(four, before, strict=True)]
            seconds = time.monotonic() - began
            missed = prometheus.number(f'sum(1 - avg_over_time(up{{job="all"}}[{seconds:.0f}s]))')
        finally:
            ended.set()
            writer.join()
    names = ("node_exporter", "blackbox_exporter", "mtail")
    memory, slope = most[0], theil_sen(second_half(course))
    return [
        Row(
            f"CPU of the whole agent: {_TARGETS} targets, {_LINES} log lines/s, a scrape each 5 s, {seconds / 60:.0f} min",
            "≤ 1/2",
            f"{ours / seconds:.2%} of a core",
            " + ".join(f"{name} {one / seconds:.2%}" for name, one in zip(names, theirs, strict=True)),
            ratio(ours, sum(theirs)),
            ours <= CPU_BAR * sum(theirs) and not missed,
            f"{missed:.1%} of scrapes failed" if missed else "",
        ),
        Row(
            "its resident memory, the most seen",
            "≤ 0.85",
            f"{memory / 1e6:.1f} MB",
            " + ".join(f"{name} {one / 1e6:.1f} MB" for name, one in zip(names, most[1:], strict=True)),
            f"{memory / sum(most[1:]):.2f}",
            memory <= MEMORY_BAR * sum(most[1:]),
        ),
        Row(
            f"its slope over the second half of {seconds / 60:.0f} min (Theil-Sen, 95 % interval)",
            "no slope",
            per_minute(slope),
            "-",
            "-",
            slope.flat,
            "" if slope.flat else f"{(second_half(course)[-1][1] - second_half(course)[0][1]) / 1e3:+.0f} KB in the second half",
        ),
    ]


def watch(four: tuple[Program, ...]) -> tuple[list[float], list[tuple[float, float]]]:
    """Return the most resident bytes of each, and the first one's samples as (seconds, bytes)."""
    most, course, start = [0.0] * len(four), [], time.monotonic()
    while (at := time.monotonic() - start) < _MINUTES * 60:
        now = [one.memory().rss for one in four]
        most = list(map(max, most, now))
        course.append((at, float(now[0])))
        time.sleep(1)
    return most, course


def write(source: Path, log: Path, ended: threading.Event) -> None:
    """Append lines at an even pace until the end."""
    lines = source.read_bytes().splitlines(keepends=True)
    with log.open("ab", buffering=0) as file:
        at = 0
        while not ended.wait(1 / 10):
            file.write(b"".join(lines[at : at + _LINES // 10]))
            at = (at + _LINES // 10) % (len(lines) - _LINES)

"""CPU of following a log that grows by 5,000 lines a second, compared to mtail; and memory that the collector adds to the daemon."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from bench import mtail
from collectors.logs.matching.packs import load
from tests.kit import peers, syslog
from tests.kit.figures import ratio
from tests.kit.program import Program, free_port
from tests.kit.results import Row

if TYPE_CHECKING:
    from pathlib import Path

ISSUE = 5
CPU_BAR = 1 / 3
MEMORY_BAR = 6e6  # bytes
_RATE = 5000  # lines a second
_SECONDS = float(os.environ.get("VITALD_BENCH_SECONDS", "60"))
_TICK = 0.02  # seconds between two writes

OTHERS_OFF = "[probe]\nenabled = false\n[nic]\nenabled = false\n[memory]\nenabled = false\n[host]\nenabled = false\n"


def measure(folder: Path) -> list[Row]:
    """Measure both."""
    return [follow(folder), memory(folder)]


def follow(folder: Path) -> Row:
    """Run both on one growing file for a minute; nothing else runs in vitald."""
    source, log = folder / "source.log", folder / "app.log"
    syslog.write(source, 8_000_000)
    log.touch()
    programs = folder / "programs"
    programs.mkdir()
    (programs / "packs.mtail").write_text(mtail.program(load().signatures))
    port = free_port()
    theirs = ["mtail", "-progs", str(programs), "-logs", str(log), "-address", "127.0.0.1", "-port", str(port)]
    settings = f'{OTHERS_OFF}[logs]\nkmsg = "off"\njournal = "off"\nfiles = ["{log}"]\n'
    with Program("mtail", theirs, folder) as peer, peers.vitald(folder, settings) as vitald:
        peer.wait_for(port)
        time.sleep(5)  # both have started and compiled what they need
        before = vitald.program.cpu_seconds(), peer.cpu_seconds()
        began = time.monotonic()
        written = write(source, log)
        time.sleep(1)
        ours, other = vitald.program.cpu_seconds() - before[0], peer.cpu_seconds() - before[1]
        elapsed = time.monotonic() - began
        read = vitald.total("vitald_log_lines_total")
    right = read == written
    return Row(
        f"CPU while a syslog file grows by {written / elapsed:,.0f} lines/s, {elapsed:.0f} s, all {len(load().signatures)} signatures",
        "≤ 1/3",
        f"{ours / elapsed:.2%} of a core",
        f"mtail {other / elapsed:.2%} of a core",
        ratio(ours, other),
        ours <= CPU_BAR * other and right,
        "" if right else f"{read:.0f} of {written} lines were read",
    )


def write(source: Path, log: Path) -> int:
    """Write lines at the rate, over and over; return how many."""
    lines = source.read_bytes().splitlines(keepends=True)
    written, began = 0, time.monotonic()
    with log.open("ab", buffering=0) as file:
        while (elapsed := time.monotonic() - began) < _SECONDS:
            due = int(elapsed * _RATE) - written
            start = written % (len(lines) - _RATE)
            file.write(b"".join(lines[start : start + min(due, _RATE)]))
            written += min(due, _RATE)
            time.sleep(_TICK)
    return written


def memory(folder: Path) -> Row:
    """Compare the daemon with and without this collector, after a minute of events and scrapes."""
    log = folder / "memory.log"
    log.touch()
    own = f'[logs]\nfiles = ["{log}"]\n'
    with (
        peers.vitald(folder, own, name="with") as one,
        peers.vitald(folder, "[logs]\nenabled = false\n", name="without") as other,
    ):
        end = time.monotonic() + _SECONDS
        samples = [line for signature in load(samples=True).signatures for line in signature.match]
        most, least = 0, 0
        while time.monotonic() < end:
            with log.open("a") as file:
                file.write("\n".join(samples) + "\n")
            for served in (one, other):
                served.get("/metrics")
            time.sleep(1)
            most, least = max(most, one.program.memory().rss), max(least, other.program.memory().rss)
        pss = one.program.memory().pss - other.program.memory().pss
    return Row(
        f"resident memory of the logs collector over `vitald run` without it, its database included, {_SECONDS:.0f} s of events",
        "≤ +6 MB",
        f"{(most - least) / 1e6:+.1f} MB ({most / 1e6:.1f} MB; PSS {pss / 1e6:+.1f} MB)",
        f"without it {least / 1e6:.1f} MB",
        "-",
        most - least <= MEMORY_BAR,
    )

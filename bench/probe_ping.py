"""The exported round trip on a busy host, with what nping and fping say at the same time beside it."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from bench.probe_rtt import compare
from tests.kit.figures import quantile, seconds
from tests.kit.program import BenchError
from tests.kit.results import Row

if TYPE_CHECKING:
    from pathlib import Path

ISSUE = 3
_A_SECOND = 50  # tries of each


def measure(folder: Path) -> list[Row]:
    """Run all of them while every core is busy."""
    return compare(folder, _beside)


def _beside(targets: list[str], length: float) -> list[Row]:
    """Run nping (connect) and fping (echo request) at the same time against the same host."""
    host, _, port = targets[0].rpartition(":")
    count, delay = str(int(length * _A_SECOND)), 1000 // _A_SECOND
    nping = ["nping", "--tcp-connect", "-p", port, "-c", count, "--delay", f"{delay}ms", host]
    fping = ["fping", "-C", count, "-p", str(delay), "-q", host]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for words in (nping, fping)]
    output = [one.communicate(timeout=length * 3 + 60)[0] for one in running]
    return [_row("nping --tcp-connect", _nping(output[0])), _row("fping (ICMP)", _fping(output[1]))]


def _nping(output: str) -> list[float]:
    """Parse the time from each SENT line to the RCVD line after it, in seconds; nping writes tenths of a millisecond."""
    found, sent = [], None
    for kind, at in re.findall(r"^(SENT|RCVD) \(([0-9.]+)s\)", output, re.MULTILINE):
        if kind == "SENT":
            sent = float(at)
        elif sent is not None:
            found.append(float(at) - sent)
            sent = None
    return found


def _fping(output: str) -> list[float]:
    return [float(word) / 1e3 for word in output.partition(" : ")[2].split() if word != "-"]


def _row(name: str, rtts: list[float]) -> Row:
    if not rtts:
        raise BenchError(f"{name} printed no round trip")
    words = f"{name} {seconds(max(quantile(rtts, 0.99), 1e-9))} (p50 {seconds(max(quantile(rtts, 0.5), 1e-9))}, {len(rtts)} tries)"
    return Row(f"round trip, p99, as {name} says it", "-", "-", words, "-", None, "TCP has no fping" if "ICMP" in name else "")

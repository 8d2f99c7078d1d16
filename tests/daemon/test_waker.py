"""Readable descriptors bring a run forward."""

import contextlib
import os
import time
from typing import Any

from collectors.model import CollectorContext
from daemon.runner import WAKE_GAP_SECONDS
from tests.daemon.runs import CountReading, Counts, Start, job, until


class Woken(Counts):
    """Collector that is woken by its pipe, which `is_draining` empties."""

    name = "woken"

    def __init__(self, settings: Any = None, context: CollectorContext | None = None) -> None:
        super().__init__(settings, context)
        self.pipe, self.writer = os.pipe()
        os.set_blocking(self.pipe, False)
        self.is_draining = True

    def read(self) -> CountReading:
        if self.is_draining:
            with contextlib.suppress(BlockingIOError):
                os.read(self.pipe, 4096)
        return super().read()

    def wake_fds(self) -> tuple[int, ...]:
        return (self.pipe,)


def test_a_readable_descriptor_wakes_its_collector_long_before_its_interval(start: Start) -> None:
    woken = Woken()
    start(job(woken, interval=3600))
    until(lambda: woken.runs == 1)
    for runs in (2, 3, 4):
        os.write(woken.writer, b"x")
        until(lambda runs=runs: woken.runs == runs)  # type: ignore[misc]  # mypy cannot infer a lambda's default


def test_a_collector_that_does_not_drain_its_descriptor_runs_four_times_a_second_at_most(start: Start) -> None:
    woken = Woken()
    woken.is_draining = False
    start(job(woken, interval=3600))
    began = time.monotonic()
    os.write(woken.writer, b"x")
    until(lambda: woken.runs >= 4)
    assert woken.runs <= 2 + (time.monotonic() - began) / WAKE_GAP_SECONDS


def test_a_descriptor_closed_meanwhile_fails_nothing(start: Start) -> None:
    woken, counts = Woken(), Counts()
    start(job(woken), job(counts))
    until(lambda: woken.runs >= 1)
    os.close(woken.pipe)
    before = counts.runs
    until(lambda: counts.runs >= before + 3)

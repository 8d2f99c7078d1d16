"""The logs collector killed at random moments, and an overrun of the real kernel ring buffer: slow, or a load on the machine."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors import disk
from collectors.logs.collector import LogsCollector
from collectors.logs.settings import LogSettings
from collectors.model import CollectorContext
from tests.kit.slots import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.logs.reading import LogsReading

KILLS = 200
PACK = '[[signature]]\nid = "numbered"\npattern = "numbered line [0-9]+$"\n'


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="vitald-killed-"))
    (folder / "packs").mkdir()
    (folder / "packs" / "own.toml").write_text(PACK)
    yield folder
    shutil.rmtree(folder)


def settings(folder: Path, **more: str) -> LogSettings:
    return LogSettings(
        **{"kmsg": "off", "journal": "off", **more},  # type: ignore[arg-type]
        files=(str(folder / "app.log"),),
        signature_dirs=(str(folder / "packs"),),
    )


def follow(folder: Path, ready: int) -> None:
    """Run as the daemon until killed: open the state, follow, save. Write a byte to `ready` after each reading."""
    state = opened(folder / "state")
    logs = LogsCollector(settings(folder), CollectorContext(slot=state.slot("logs"), cache=state.path))
    while True:
        logs.read()
        os.write(ready, b".")
        time.sleep(0.002)


def count(folder: Path) -> tuple[int, int]:
    """Return how many events were counted and how many losses."""
    state = opened(folder / "state")
    logs = LogsCollector(settings(folder), CollectorContext(slot=state.slot("logs"), cache=state.path))
    for _ in range(3):
        reading = logs.read()
    logs.close()
    assert state.close(60)
    return reading.events["numbered"], sum(reading.lost.values())


@pytest.mark.fault(7)
def test_killed_two_hundred_times_while_a_log_grows_and_rotates_every_line_is_counted_once(folder: Path) -> None:
    rng = random.Random(7)  # noqa: S311 — the same sequence in each run
    written = 0
    log = folder / "app.log"
    log.touch()
    assert count(folder) == (0, 0)  # and the signatures are compiled
    for kill in range(KILLS):
        ready, tell = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                disk._THREADS.__init__()  # type: ignore[misc]  # threads are not forked
                follow(folder, tell)
            finally:
                os._exit(1)
        os.close(tell)  # so that a child that ends by itself ends the read, too
        if kill % 2:  # half of them before their first reading, and half after it
            os.read(ready, 1)
        end = time.monotonic() + rng.uniform(0.0, 0.15)
        while time.monotonic() < end:
            lines = rng.randrange(1, 20)
            with log.open("a") as file:
                file.write("".join(f"Nov 21 10:00:00 h app: numbered line {written + n}\n" for n in range(lines)))
            written += lines
            time.sleep(rng.uniform(0, 0.02))
        if kill % 8 == 7:
            for number in (3, 2, 1):
                if (old := folder / f"app.log.{number}").exists():
                    old.rename(folder / f"app.log.{number + 1}")
            log.rename(folder / "app.log.1")
            log.touch()
        os.kill(child, signal.SIGKILL)
        os.close(ready)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"it ended by itself at kill {kill}"
        assert not (folder / "state" / "logs.json.unusable").exists()
    assert count(folder) == (written, 0)


@pytest.mark.fault(10)
def test_a_flood_beyond_the_kernels_ring_buffer_is_counted_as_an_overrun_and_reading_continues(folder: Path) -> None:
    if not os.access("/dev/kmsg", os.R_OK | os.W_OK):
        pytest.skip("no /dev/kmsg here")
    logs = LogsCollector(settings(folder, kmsg="auto"), CollectorContext())
    before = logs.read()
    newest = last_sequence()
    wrote = 0
    while first_sequence() <= newest + 1:  # until the ring buffer begins after the last record read
        for _ in range(200):
            wrote += 1
            with Path("/dev/kmsg").open("w") as kmsg:  # opened again: each descriptor may write ten lines in five seconds
                kmsg.write(f"<15>vitald test flood {wrote} {'x' * 800}\n")
        assert wrote < 100_000, f"the ring buffer still begins at {first_sequence()}"
    after = logs.read()
    lost = after.lost["kmsg", "overrun"] - before.lost["kmsg", "overrun"]
    read = lines(after) - lines(before)
    assert lost > 0
    assert lost + read >= wrote, "each record was read or counted"
    with Path("/dev/kmsg").open("w") as kmsg:
        kmsg.write("<15>vitald test flood is over\n")
    assert lines(logs.read()) > lines(after)
    logs.close()


def first_sequence() -> int:
    """Return the sequence number of the oldest record in the ring buffer."""
    descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            try:
                return int(os.read(descriptor, 16_384).split(b",")[1])
            except BrokenPipeError:
                continue
    finally:
        os.close(descriptor)


def last_sequence() -> int:
    """Return the sequence number of the newest record in the ring buffer."""
    descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    last = 0
    try:
        while True:
            try:
                last = int(os.read(descriptor, 16_384).split(b",")[1])
            except BrokenPipeError:
                continue
            except BlockingIOError:
                return last
    finally:
        os.close(descriptor)


def lines(reading: LogsReading) -> int:
    """Return how many records have been read."""
    return sum(stats.lines for stats in reading.stats if stats.source == "kmsg")

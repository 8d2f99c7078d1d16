"""Real leaks under the real daemon: its metrics, its log, `vitald check`, and the verdicts that must not be.

No test can wait for a real day. In the daemon of the first test the memory collector's clock is 20 times as fast; nothing else is.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.service import wait
from tests.kit.leaks import alone, leaking, more

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1 << 20
ONLY = ("--collector.disable-defaults", "--collector.memory")
FAST_CLOCK = """
import sys
from collectors.memory import collector
from collectors.memory.holders import scan
now, times = collector._boottime, 20
started = now()
collector._boottime = lambda: started + (now() - started) * times
scan.TIMEOUT *= times  # a scan takes real time
from daemon.cli.main import main
sys.exit(main())
"""
UNRECLAIMABLE = "slab_unreclaimable|page_tables|kernel_stack|vmalloc|percpu|unaccounted"


@pytest.fixture(scope="module", autouse=True)
def _alone() -> Iterator[None]:
    with alone():
        yield


class MemoryDaemon:
    """`vitald run` as a process, with the memory collector only."""

    def __init__(self, folder: Path, settings: str, program: tuple[str, ...]) -> None:
        self._log = folder / "log"
        (folder / "vitald.toml").write_text(f"[memory]\n{settings}\n")
        flags = [f"--config.file={folder}/vitald.toml", "--web.listen-address=127.0.0.1:0", f"--state.directory={folder}/state", *ONLY]
        (folder / "state").mkdir()
        with self._log.open("wb") as log:
            self.process = subprocess.Popen([sys.executable, *program, "run", *flags], stdout=log, stderr=subprocess.STDOUT)
        self._url = wait(lambda: re.search(r"url=(http\S+?)\"", self.log()), "the daemon's address", 60)[1]

    def log(self) -> str:
        return self._log.read_text()

    def metrics(self, pattern: str) -> list[float]:
        """Return every value of the series that match."""
        with urllib.request.urlopen(self._url, timeout=30) as page:
            text = page.read().decode()
        return [float(value) for value in re.findall(rf"^vitald_{pattern} (\S+)$", text, re.MULTILINE)]

    def area(self, names: str) -> float:
        return sum(self.metrics(rf'memory_area_bytes\{{area="(?:{names})"\}}'))

    def health(self, check: str) -> float:
        return self.metrics(rf'health\{{check="{check}",subject="\w+"\}}')[0]

    def runs(self) -> float:
        """Return when the collector last ran."""
        return self.metrics(r'collector_last_success_timestamp_seconds\{collector="memory"\}')[0]

    def holder(self, pid: int) -> float:
        """Return a process' bytes of socket buffers in the newest scan."""
        return sum(self.metrics(rf'memory_socket_holder_bytes\{{comm="[^"]+",pid="{pid}"\}}'))


@contextlib.contextmanager
def daemon(folder: Path, settings: str, *program: str) -> Iterator[MemoryDaemon]:
    vitald = MemoryDaemon(folder, settings, program)
    try:
        wait(lambda: vitald.area("free") > 0, "the first ledger", 30)
        yield vitald
        vitald.process.terminate()
        assert vitald.process.wait(30) == 0
        assert "Traceback" not in vitald.log()
    finally:
        vitald.process.kill()
        vitald.process.wait()


def check() -> dict[str, Any]:
    """Return the only finding of `vitald check`: the kernel's memory. Processes are not judged from one look."""
    words = [sys.executable, "-m", "daemon", "check", "--format", "json", *ONLY]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    (kernel,) = json.loads(done.stdout)["findings"]
    found: dict[str, Any] = kernel
    return found


def test_two_gigabytes_that_a_process_does_not_read_from_tcp_are_a_finding_that_names_it_and_clears(tmp_path: Path) -> None:
    """A long forecast is allowed: this host has room for many times the two gigabytes, and the span is minutes."""
    with daemon(tmp_path, 'interval = "500ms"\nmax_extrapolation = 1000.0', "-c", FAST_CLOCK) as vitald:
        before, unreclaimable = vitald.area("tcp_buffers"), vitald.area(UNRECLAIMABLE)
        with leaking("tcp", 40) as leaker:
            for _ in range(49):
                last = vitald.runs()
                more(leaker, 40)
                wait(lambda last=last: vitald.runs() > last, "the next tick", 30)  # type: ignore[misc]
            wait(lambda: vitald.health("memory_kernel"), "a verdict on the kernel's memory", 60)
            wait(lambda: vitald.holder(leaker.pid) > 512 * MIB, "the holder", 90)
            assert vitald.area("tcp_buffers") - before > 1900 * MIB
            assert vitald.area(UNRECLAIMABLE) - unreclaimable > 1800 * MIB
            assert vitald.metrics("memory_exhaustion_seconds")[0] < 86_400
            line = wait(
                lambda: next((line for line in vitald.log().splitlines() if "memory_kernel host" in line and "grows by" in line), None),
                "the finding in the log",
            )
            assert "that it does not read" in line or "holders not scanned yet" in line
            kernel = check()
        wait(lambda: vitald.area(UNRECLAIMABLE) - unreclaimable < 600 * MIB, "the memory to come back", 60)
        wait(lambda: not vitald.health("memory_kernel"), "the finding to clear", 60)
        assert f"pid {leaker.pid}" not in "".join(line for line in vitald.log().splitlines() if "memory_process" in line)
    first = kernel["evidence"]["holder_1"]
    assert f"pid {leaker.pid}" in first
    assert "GB in" in first
    assert "that it does not read" in first


@pytest.mark.parametrize(
    ("kind", "named"), [("inotify", "60 anon_inode:inotify"), ("netns", "2240 network namespace"), ("slab", "6400 anon_inode:[eventpoll]")]
)
def test_slab_of_open_files_is_attributed_and_a_step_is_no_leak(kind: str, named: str, tmp_path: Path) -> None:
    with daemon(tmp_path, 'interval = "1s"', "-m", "daemon") as vitald:
        before = vitald.area("slab_unreclaimable")
        with leaking(kind, 320) as leaker:
            wait(lambda: vitald.area("slab_unreclaimable") - before > 200 * MIB, "the area that grew", 30)
            assert vitald.area("tcp_buffers|udp_buffers") < 200 * MIB
            wait(lambda: sum(vitald.metrics(r'memory_slab_bytes\{cache="[^"]+"\}')) > 100 * MIB, "the cache that grew", 60)
            kernel = check()
            assert vitald.health("memory_kernel") == 0
            assert vitald.metrics("memory_exhaustion_seconds") == [float("inf")]
    most = kernel["evidence"]["most_files"]
    assert re.search(rf"pid {leaker.pid} (?:\S+ )?{re.escape(named)}", most), most  # between them its unit, if it has vitald
    assert "kmalloc" in kernel["evidence"]["most_slab"] or "event" in kernel["evidence"]["most_slab"]
    assert kernel["level"] == "healthy"

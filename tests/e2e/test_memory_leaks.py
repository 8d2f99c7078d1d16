"""Real leaks under the real daemon: what its metrics, its log and `vitald check` say, and which verdicts do not come.

No test can wait for a real day. In the daemon of the first test the memory collector's clock runs 20 times as fast; nothing else does.
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
from collectors.memory import blame, collector
now, times = collector._boottime, 20
began = now()
collector._boottime = lambda: began + (now() - began) * times
blame.PATIENCE *= times  # it is the kernel's time that a look takes
from daemon.cli.main import main
sys.exit(main())
"""
HELD = "slab_unreclaimable|page_tables|kernel_stack|vmalloc|percpu|unaccounted"


@pytest.fixture(scope="module", autouse=True)
def _alone() -> Iterator[None]:
    with alone():
        yield


class Daemon:
    """`vitald run` as a process, with the memory collector only."""

    def __init__(self, folder: Path, settings: str, program: tuple[str, ...]) -> None:
        self._log = folder / "log"
        (folder / "vitald.toml").write_text(f"[memory]\n{settings}\n")
        flags = [f"--config.file={folder}/vitald.toml", "--web.listen-address=127.0.0.1:0", f"--state.directory={folder}/state", *ONLY]
        (folder / "state").mkdir()
        with self._log.open("wb") as log:
            self.process = subprocess.Popen([sys.executable, *program, "run", *flags], stdout=log, stderr=subprocess.STDOUT)
        self._url = wait(lambda: re.search(r"metrics at (http\S+?)\"", self.log()), "the daemon's address", 60)[1]

    def log(self) -> str:
        return self._log.read_text()

    def metrics(self, pattern: str) -> list[float]:
        """Every value of the series that match."""
        with urllib.request.urlopen(self._url, timeout=30) as page:
            text = page.read().decode()
        return [float(value) for value in re.findall(rf"^vitald_{pattern} (\S+)$", text, re.MULTILINE)]

    def area(self, names: str) -> float:
        return sum(self.metrics(rf'memory_kernel_bytes\{{area="(?:{names})"\}}'))

    def health(self, check: str) -> float:
        return self.metrics(rf'health\{{check="{check}",subject="\w+"\}}')[0]

    def runs(self) -> float:
        """When the collector last ran."""
        return self.metrics(r'collector_last_success_timestamp_seconds\{collector="memory"\}')[0]

    def holder(self, pid: int) -> float:
        """The bytes of socket buffers that the last look found with a process."""
        return sum(self.metrics(rf'memory_socket_holder_bytes\{{comm="[^"]+",pid="{pid}"\}}'))


@contextlib.contextmanager
def daemon(folder: Path, settings: str, *program: str) -> Iterator[Daemon]:
    one = Daemon(folder, settings, program)
    try:
        wait(lambda: one.area("free") > 0, "the first ledger", 30)
        yield one
        one.process.terminate()
        assert one.process.wait(30) == 0
        assert "Traceback" not in one.log()
    finally:
        one.process.kill()
        one.process.wait()


def check() -> tuple[dict[str, Any], dict[str, Any]]:
    """What `vitald check` finds: the kernel's memory, and the processes'."""
    words = [sys.executable, "-m", "daemon", "check", "--format", "json", *ONLY]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    kernel, process = json.loads(done.stdout)["findings"]
    return kernel, process


def test_two_gigabytes_that_a_sleeping_reader_leaves_in_tcp_are_a_finding_that_names_it_and_heals(tmp_path: Path) -> None:
    """A forecast may reach far: this host has room for many times the two gigabytes, and the span is minutes."""
    with daemon(tmp_path, 'interval = "500ms"\nmax_extrapolation = 1000.0', "-c", FAST_CLOCK) as one:
        before, held = one.area("tcp_buffers"), one.area(HELD)
        with leaking("tcp", 40) as leaker:
            for _ in range(49):
                last = one.runs()
                more(leaker, 40)
                wait(lambda last=last: one.runs() > last, "the next tick", 30)  # type: ignore[misc]
            wait(lambda: one.health("memory_kernel"), "a verdict on the kernel's memory", 60)
            wait(lambda: one.holder(leaker.pid) > 512 * MIB, "the holder", 90)
            assert one.area("tcp_buffers") - before > 1900 * MIB
            assert one.area(HELD) - held > 1800 * MIB
            assert one.metrics("memory_exhaustion_seconds")[0] < 86_400
            said = wait(
                lambda: next((line for line in one.log().splitlines() if "memory_kernel host" in line and "grows by" in line), None),
                "the finding in the log",
            )
            assert "that it does not read" in said or "not looked at yet" in said
            kernel, process = check()
        wait(lambda: one.area(HELD) - held < 600 * MIB, "the memory to come back", 60)
        wait(lambda: not one.health("memory_kernel"), "the finding to heal", 60)
        assert f"pid {leaker.pid}" not in "".join(line for line in one.log().splitlines() if "memory_process" in line)
    first = kernel["evidence"]["holder_1"]
    assert f"pid {leaker.pid}" in first
    assert "GB in" in first
    assert "that it does not read" in first
    assert f"pid {leaker.pid}" not in process["message"]


@pytest.mark.parametrize(
    ("kind", "named"), [("inotify", "60 anon_inode:inotify"), ("netns", "2240 network namespace"), ("slab", "6400 anon_inode:[eventpoll]")]
)
def test_slab_that_open_files_keep_is_seen_and_named_and_as_a_step_no_leak(kind: str, named: str, tmp_path: Path) -> None:
    with daemon(tmp_path, 'interval = "1s"', "-m", "daemon") as one:
        before = one.area("slab_unreclaimable")
        with leaking(kind, 320) as leaker:
            wait(lambda: one.area("slab_unreclaimable") - before > 200 * MIB, "the area that grew", 30)
            assert one.area("tcp_buffers|udp_buffers") < 200 * MIB
            wait(lambda: sum(one.metrics(r'memory_slab_bytes\{cache="[^"]+"\}')) > 100 * MIB, "the cache that grew", 60)
            kernel, _ = check()
            assert one.health("memory_kernel") == 0
            assert one.metrics("memory_exhaustion_seconds") == [float("inf")]
    most = kernel["evidence"]["most_files"]
    assert re.search(rf"pid {leaker.pid} (?:\S+ )?{re.escape(named)}", most), most  # between them its unit, if it has one
    assert "kmalloc" in kernel["evidence"]["most_slab"] or "event" in kernel["evidence"]["most_slab"]
    assert kernel["level"] == "healthy"

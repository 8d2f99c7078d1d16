"""Kernel memory collector: over every fixture host, across restarts, without permissions, and with a wall clock that jumps."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from collectors.memory.collector import KernelMemory
from collectors.memory.settings import MemorySettings
from collectors.memory.trend.history import SIZES
from collectors.model import CollectorContext, Level, Mode, Unavailable
from collectors.settings import Duration
from tests.collectors.memory.hosts import FIXTURES, HOSTS
from tests.kit.leaks import leaking
from tests.kit.slots import Kept

ROOT = Path(__file__).parents[3]


def fixture_host(name: str, tmp_path: Path) -> CollectorContext:
    return CollectorContext(FIXTURES / name / "proc", tmp_path, tmp_path)


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.fault(36)
def test_every_fixture_host_has_two_verdicts_and_a_ledger(name: str, tmp_path: Path) -> None:
    settings = MemorySettings()
    collector = KernelMemory(settings, fixture_host(name, tmp_path))
    reading = collector.read()
    kernel, process = collector.judge([reading], settings)
    areas = {metric.labels[0]: metric.value for metric in collector.measure(reading, settings) if metric.family.name == "memory_area_bytes"}
    assert {"free", "anonymous", "unaccounted"} <= set(areas)
    assert (kernel.check, process.check) == ("memory_kernel", "memory_process")
    nearly_gone = reading.ledger.available < reading.ledger.total * 0.03
    assert kernel.level is (Level.CRITICAL if nearly_gone else Level.HEALTHY)
    assert list(collector.show([reading], settings))
    collector.close()


@pytest.mark.fault(37)
def test_a_containers_view_is_unavailable_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"fuse\.lxcfs is mounted over it") as found:
        KernelMemory(MemorySettings(), fixture_host("lxcfs-5.0", tmp_path)).read()
    assert found.value.is_applicable
    assert "run vitald on the host" in found.value.remediation


def test_the_window_is_kept_over_a_restart() -> None:
    kept, now = Kept(), [time.clock_gettime(time.CLOCK_BOOTTIME)]
    before = KernelMemory(MemorySettings(), CollectorContext(slot=kept))
    before.clock = lambda: now[0]
    for _ in range(90):
        now[0] += 30
        before.read()
    before.close()
    after = KernelMemory(MemorySettings(), CollectorContext(slot=kept))
    after.clock = lambda: now[0] + 30
    window = after.read().history.window
    assert len(window.fast) == 91
    assert window.slow
    assert len(window.fast[0].parts) == len(SIZES)
    after.close()


SCAN = """
import json
from dataclasses import replace
from pathlib import Path
from collectors.memory.analysis import analyse
from collectors.memory.collector import KernelMemory
from collectors.memory.evidence import evidence
from collectors.memory.holders.helper import scan
from collectors.memory.settings import MemorySettings
from collectors.model import CollectorContext
reading = KernelMemory(MemorySettings(), CollectorContext()).read()
print(json.dumps(evidence(analyse(replace(reading, holders=scan(Path("/proc"))), MemorySettings()), 0.0)))
"""  # not by the helper process: where the interpreter is root's, it could not be started a second time


@pytest.mark.root
@pytest.mark.needs("setpriv")
@pytest.mark.fault(13)
@pytest.mark.parametrize("allowed", [False, True])
def test_without_the_capabilities_the_evidence_has_those_that_would_name_the_holder(*, allowed: bool) -> None:
    """The capabilities of systemd/drop-ins/holders.conf are enough; without them the sums are read."""
    capabilities = "+dac_read_search,+sys_ptrace" if allowed else "-all"
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]
    words += [f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"]
    words += [sys.executable, "-c", SCAN]
    with leaking("tcp", 100) as leaker:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    named = any(f"pid {leaker.pid}" in str(text) for key, text in facts.items() if key.startswith("holder_"))
    assert named is allowed, facts
    assert ("slabinfo" in facts) is not allowed
    if not allowed:
        assert "CAP_DAC_READ_SEARCH" in facts["slabinfo"]
        assert "CAP_SYS_PTRACE" in facts["hidden"]
        assert any("(process not readable)" in str(text) for text in facts.values()), "the sum is read all the same"


CLOCK_JUMPS = """
import os, time
from collectors.memory.collector import KernelMemory
from collectors.memory.settings import MemorySettings
from collectors.model import CollectorContext
def set_clock(offset):
    with open(os.environ["FAKETIME_TIMESTAMP_FILE"], "w") as file:
        file.write(offset)
settings = MemorySettings()
collector = KernelMemory(settings, CollectorContext())
boottime, real = collector.clock, time.time() - time.monotonic()
for number, offset in enumerate(("+0", "+1h", "-1h", "+3650d", "-3650d")):
    set_clock(offset)
    collector.clock = lambda: boottime() + 30 * number
    reading = collector.read()
    verdicts = list(collector.judge([reading], settings))
    print(round((time.time() - time.monotonic() - real) / 3600), len(reading.history.window.fast), len(verdicts))
"""


@pytest.mark.needs("faketime")
@pytest.mark.fault(40)
def test_a_wall_clock_that_jumps_is_not_a_gap_in_the_history(tmp_path: Path) -> None:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    env = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(tmp_path / "clock"), "FAKETIME_NO_CACHE": "1"}
    (tmp_path / "clock").write_text("+0")
    env |= {**os.environ, **env, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    done = subprocess.run([sys.executable, "-c", CLOCK_JUMPS], cwd=ROOT, capture_output=True, text=True, check=False, env=env, timeout=60)
    rows = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert rows == [(0, 1, 2), (1, 2, 2), (-1, 3, 2), (87600, 4, 2), (-87600, 5, 2)], done.stderr


@pytest.mark.fault(146)
def test_a_proc_that_is_not_there_is_unknown_and_not_a_host_without_memory(tmp_path: Path) -> None:
    collector = KernelMemory(MemorySettings(), CollectorContext(proc=tmp_path / "nothing", mode=Mode.CHECK))
    with pytest.raises(Unavailable) as found:
        collector.read()
    assert found.value.is_applicable
    collector.close()


@pytest.mark.fault(141)
@pytest.mark.fault(146)
def test_processes_that_are_not_visible_are_not_healthy(tmp_path: Path) -> None:
    """The same host, once with process 1 readable and once without (hidepid=, or a record without processes)."""
    settings = MemorySettings()
    shutil.copytree(FIXTURES / "vm-6.18/proc", tmp_path / "proc")
    for level in (Level.UNKNOWN, Level.HEALTHY):
        collector = KernelMemory(settings, CollectorContext(tmp_path / "proc", tmp_path, tmp_path))
        kernel, process = collector.judge([collector.read()], settings)
        assert (kernel.level, process.level) == (Level.HEALTHY, level)
        assert ("hidepid" in process.message) is (level is Level.UNKNOWN)
        assert ("gid=" in process.remediation) is (level is Level.UNKNOWN)
        collector.close()
        (tmp_path / "proc/1").mkdir(exist_ok=True)
        (tmp_path / "proc/1/statm").write_text("5000 3000 2000 1 0 1 0\n")


@pytest.mark.fault(140)
@pytest.mark.parametrize("interval", [1.0, 2.4, 30.0])
def test_a_leak_of_the_slab_is_detected_within_six_minutes_whatever_the_interval(tmp_path: Path, interval: float) -> None:
    """The files of a host, in which 50 MB a second go from MemFree to SUnreclaim; the clock is advanced by the interval."""
    shutil.copytree(FIXTURES / "vm-6.18/proc", tmp_path / "proc")
    text, settings = (tmp_path / "proc/meminfo").read_text(), MemorySettings(interval=Duration(interval))
    collector, now = KernelMemory(settings, CollectorContext(tmp_path / "proc", tmp_path, tmp_path)), [1000.0]
    collector.clock = lambda: now[0]
    while now[0] < 1360:
        leaked = int(now[0] - 1000) * 50 * 1024
        (tmp_path / "proc/meminfo").write_text(_moved(text, leaked))
        reading = collector.read()
        kernel, _ = collector.judge([reading], settings)
        if kernel.level is Level.CRITICAL:
            break
        now[0] += interval
    assert kernel.level is Level.CRITICAL
    assert "slab_unreclaimable grows by" in kernel.message
    assert len(reading.history.window.fast) <= 30
    collector.close()


def _moved(meminfo: str, kilobytes: int) -> str:
    """Return a meminfo in which so much of the free memory has become slab."""
    more = {"SUnreclaim": kilobytes, "Slab": kilobytes, "MemFree": -kilobytes, "MemAvailable": -kilobytes}
    lines = (re.fullmatch(r"(\w+)(:.*?)(\d+)( kB)", line) for line in meminfo.splitlines())
    return "".join(f"{line[1]}{line[2]}{int(line[3]) + more.get(line[1], 0)}{line[4]}\n" for line in lines if line)


HOSTILE = ("-17179869184 -5", "5 17179869184", "18446744073709551615 0", f"{1 << 70} 0", "nan 0", "inf 1", "1e9 0", "٣ 0", "", "x", "7")


@pytest.mark.fault(141)
def test_a_hostile_procfs_is_judged_without_a_figure_that_cannot_be(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    shutil.copytree(FIXTURES / "vm-6.18/proc", proc)
    for pid, numbers in enumerate(HOSTILE, 1):
        (proc / str(pid)).mkdir()
        (proc / str(pid) / "statm").write_text(f"100 {numbers} 0 0 0 0\n")
        (proc / str(pid) / "stat").write_text(f"{pid} (x) S " + " ".join(["-9"] * 40))
    (proc / "net/sockstat").write_text("TCP: inuse 4 orphan 0 tw 4 alloc 17 mem 72057594037927935\nUDP: inuse 1 mem -5\nFRAG: memory nan\n")
    settings = MemorySettings()
    collector = KernelMemory(settings, CollectorContext(proc, tmp_path, tmp_path))
    reading = collector.read()
    verdicts = list(collector.judge([reading], settings))
    assert [verdict.level for verdict in verdicts] == [Level.HEALTHY, Level.HEALTHY]
    areas = [metric.value for metric in collector.measure(reading, settings) if metric.family.name == "memory_area_bytes"]
    assert all(isinstance(size, float) and 0 <= size <= reading.ledger.total for size in areas)
    assert not any("TB" in str(text) or "-" in str(text) for verdict in verdicts for text in verdict.evidence.values()), verdicts
    collector.close()


@pytest.mark.fault(141)
def test_a_check_on_a_host_whose_proc_has_no_processes_ends_with_what_it_could_see(tmp_path: Path) -> None:
    """A folder with the files of this /proc and no process in it: `vitald check` reads the ledger, and says what it could not tell."""
    for name in ("meminfo", "vmstat", "zoneinfo", "stat"):
        (tmp_path / name).write_text(Path("/proc", name).read_text())
    words = [sys.executable, "-m", "daemon", "check", "--format", "json", "--collector.disable-defaults", "--collector.memory"]
    done = subprocess.run([*words, "--path.procfs", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    kernel, process = json.loads(done.stdout)["findings"]
    assert "scan failed" not in done.stdout
    assert kernel["evidence"]["total_bytes"] > 0
    assert "all processes" in kernel["evidence"]["hidden"]
    assert "not visible" in process["message"]
    assert done.returncode == 3, done.stdout

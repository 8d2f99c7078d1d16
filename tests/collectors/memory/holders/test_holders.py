"""Holder scan: in this process, while others exit; and by the helper process, which hangs or fails."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.memory.evidence import not_visible
from collectors.memory.holders import owners
from collectors.memory.holders.helper import scan
from collectors.memory.holders.scan import HolderScan
from collectors.memory.procfs.processes import read_largest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def exiting() -> Iterator[None]:
    """Processes with sockets that live for milliseconds, four at a time."""
    over = threading.Event()
    code = "import socket; kept = [socket.socketpair() for _ in range(50)]; [a.send(b'x' * 9000) for a, _ in kept]"

    def churn() -> None:
        while not over.is_set():
            subprocess.run([sys.executable, "-ISc", code], check=False)

    threads = [threading.Thread(target=churn) for _ in range(4)]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join()


@pytest.mark.fault(35)
@pytest.mark.usefixtures("exiting")
def test_processes_that_exit_during_the_walk_are_left_out() -> None:
    for _ in range(8):
        found = scan(Path("/proc"))
        assert found["processes"] > 1
        assert not found["truncated"]


def test_the_largest_process_is_named_with_its_private_memory_and_its_start() -> None:
    code = "import sys; kept = bytearray(b'x' * (600 << 20)); print('ready', flush=True); sys.stdin.read()"
    before = time.time()
    with subprocess.Popen([sys.executable, "-ISc", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as large:
        assert large.stdout is not None
        assert large.stdout.readline() == b"ready\n"
        found = scan(Path("/proc"))
        large.kill()
    (row,) = [row for row in found["own"] if row["pid"] == large.pid]
    assert 600 << 20 <= row["size"] < 640 << 20
    assert before - 5 < row["began"] < time.time() + 5


@pytest.mark.parametrize(
    ("program", "error"), [("sleep 60", "no answer within 0 s"), ("exit 3", "status 3"), ("echo nonsense", "invalid answer")]
)
def test_a_scan_that_hangs_or_fails_is_reported_and_ended(program: str, error: str) -> None:
    client = HolderScan(Path("/proc"))
    client._helper._command = ["sh", "-c", program]
    assert client.start(1000.0)
    assert not client.start(1010.0), "one at a time"
    assert client.wait(0.5 if "sleep" in program else 20.0) is None
    assert error in client.error
    assert not client.start(1299.0), "and no other within five minutes"
    assert client.start(1301.0)
    client.close()


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A procfs of another host: as many of its files as a process needs, and its processes' numbers are whatever a test writes."""
    (tmp_path / "meminfo").write_text("MemTotal: 1000000 kB\nMemFree: 1000 kB\n")
    (tmp_path / "stat").write_text("btime 1795000000\n")
    return tmp_path


def add_process(proc: Path, pid: str, statm: str = "100 50 10 1 0 1 0", **lines: str) -> Path:
    folder = proc / pid
    (folder / "fd").mkdir(parents=True)
    (folder / "statm").write_text(statm)
    status = {"Name": "app", "Threads": "2", "VmPTE": "8 kB", "VmSwap": "0 kB", **lines}
    (folder / "status").write_text("".join(f"{name}:\t{value}\n" for name, value in status.items()))
    rest = " ".join(["S", "1", *["0"] * 17, lines.get("starttime", "500"), *["0"] * 30])
    (folder / "stat").write_text(f"{pid} (app) {rest}\n")
    return folder


@pytest.mark.fault(141)
def test_a_procfs_without_processes_is_scanned(foreign: Path) -> None:
    for proc in (foreign, foreign / "nothing"):
        found = scan(proc, recorded=True)
        assert found["processes"] == 0
        assert found["holders"] == [] == found["own"]
        assert "none is visible" in not_visible(found)
    assert read_largest(foreign / "nothing", 4096, 5, 1 << 40) == ()


@pytest.mark.root
@pytest.mark.needs("unshare", "mount", "setpriv")
@pytest.mark.fault(141)
@pytest.mark.parametrize("option", ["hidepid=2", "hidepid=1", "subset=pid"])
def test_a_procfs_that_hides_processes_is_scanned_and_the_evidence_says_so(tmp_path: Path, option: str) -> None:
    """A mount of its own of procfs, read by a user who may not see the others: as the service is on a host that is hardened so."""
    (tmp_path / "proc").mkdir()
    tmp_path.chmod(0o755)
    code = "import json, sys; from pathlib import Path; from collectors.memory.holders.helper import scan; "
    code += "from collectors.memory.evidence import not_visible; found = scan(Path(sys.argv[1])); "
    code += "print(json.dumps([found['processes'], found['hidepid'], not_visible(found)]))"
    nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups"
    script = f'mount -t proc -o {option} proc /proc && exec {nobody} {sys.executable} -c "{code}" /proc'
    words = ["unshare", "-m", "--pid", "--fork", "sh", "-c", f"sleep 60 & {script}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[4])
    assert done.returncode == 0, done.stderr
    processes, is_hidden, reason = json.loads(done.stdout)
    assert processes >= 1, "its own"
    assert is_hidden is option.startswith("hidepid")
    assert ("hidepid=" in reason) is is_hidden


@pytest.mark.root
@pytest.mark.needs("unshare", "mount", "setpriv")
@pytest.mark.fault(141)
@pytest.mark.fault(148)
@pytest.mark.parametrize(("option", "words", "visible"), [
    ("hidepid=0", "", True), ("hidepid=2", "", False), ("hidepid=1", "", False),
    ("hidepid=2,gid=4242", "--groups=4242", True), ("hidepid=2", "--inh-caps=+sys_ptrace --ambient-caps=+sys_ptrace", True),
])  # fmt: skip
def test_what_the_remediation_asks_for_makes_the_processes_visible(option: str, words: str, visible: bool) -> None:  # noqa: FBT001
    """The mount option gid= and CAP_SYS_PTRACE, each for an ordinary user in a PID namespace whose process 1 is root's."""
    code = "from pathlib import Path; from collectors.memory.procfs.processes import sees_all; print(sees_all(Path('/proc')))"
    user = f"setpriv --reuid=65534 --regid=65534 {words if 'groups' in words else '--clear-groups ' + words}"
    script = f'mount -t proc -o {option} proc /proc && {user} {sys.executable} -c "{code}"'
    command = ["unshare", "-m", "--pid", "--fork", "sh", "-c", f"{script}; true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[4])
    assert done.stdout.strip() == str(visible), done.stderr


NUMBERS = st.sampled_from(["-5", "0", "50", "-17179869184", "18446744073709551615", str(1 << 70), "nan", "inf", "1e9", "", "٣", "x"])


@pytest.mark.fault(141)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(resident=NUMBERS, shared=NUMBERS, threads=NUMBERS, tables=NUMBERS, swap=NUMBERS, started=NUMBERS, inode=NUMBERS)
def test_no_number_of_a_process_is_one_that_cannot_be(foreign: Path, inode: str, resident: str, shared: str, **texts: str) -> None:
    shutil.rmtree(foreign / "42", ignore_errors=True)
    lines = {"Threads": texts["threads"], "VmPTE": f"{texts['tables']} kB", "VmSwap": f"{texts['swap']} kB", "starttime": texts["started"]}
    folder = add_process(foreign, "42", f"100 {resident} {shared} 1 0 1 0", **lines)
    (folder / "fd" / "3").symlink_to(f"socket:[{inode}]")
    (foreign / "²").mkdir(exist_ok=True)
    total = 1_000_000 << 10
    found = owners.walk(foreign, {50}, 10, lambda: False, total)
    for process in found.processes.values():
        assert 0 <= process.private <= total
        assert 0 <= process.page_tables <= total
        assert 0 <= process.threads <= 1 << 22
        assert 0 <= process.swapped < 1 << 62
    assert 0 <= owners.start_time(foreign, 42) < 253_402_300_800
    for largest in read_largest(foreign, 4096, 5, total):
        assert 0 < largest.private <= total
    json.dumps(scan(foreign, recorded=True), allow_nan=False)


@pytest.mark.fault(142)
def test_sockets_of_this_host_are_not_those_of_a_recorded_one(foreign: Path) -> None:
    """Whatever this machine's sockets hold, a scan of another host's procfs has none of it."""
    add_process(foreign, "42")
    one, other = socket.socketpair()
    one.send(b"x" * 100_000)
    found = scan(foreign, recorded=True)
    assert found["processes"] == 1
    assert found["sockets"]["seen"] == 0
    assert scan(Path("/proc"))["sockets"]["seen"] > 0
    one.close()
    other.close()

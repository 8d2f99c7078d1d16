"""`vitald run`, whole, in a process of its own."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from collectors.registry import COLLECTORS
from tests.daemon.running import Vitald

Start = Callable[..., Vitald]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[Vitald] = []

    def make(*flags: str, **popen: Any) -> Vitald:
        folder = tmp_path / str(len(running))
        folder.mkdir()
        running.append(Vitald(folder, *flags, **popen))
        return running[-1]

    yield make
    for daemon in running:
        daemon.__exit__()


def test_it_probes_itself_with_no_settings_at_all(start: Start) -> None:
    daemon = start().ready()
    own = daemon.url.removeprefix("http://")
    daemon.until(lambda: daemon.metric(f'vitald_probe_attempts_total{{target="{own}"}}') == 1)
    assert daemon.metric(f'vitald_health{{check="tcp_probe",subject="{own}"}}') == 0
    assert daemon.metric('vitald_collector_success{collector="probe"}') == 1
    assert daemon.get("/-/ready")
    assert daemon.hears("STATUS=").startswith("STATUS=healthy")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_goes_in_good_order(start: Start, number: int) -> None:
    daemon = start().ready()
    daemon.until(lambda: "tcp_probe" in daemon.get())
    daemon.signal(number)
    assert daemon.process.wait(30) == 0
    assert daemon.hears("STOPPING=1")
    assert (daemon.folder / "state/health.json").exists()


@pytest.mark.fault(32)
def test_sigterm_while_starting_reloading_and_hanging_ends_it_within_five_seconds(start: Start, tmp_path: Path) -> None:
    for pause in (0.0, 0.2, 0.4, 0.6, 0.8):
        daemon = start()
        time.sleep(pause)
        status, seconds = daemon.stop()
        assert status in {0, -signal.SIGTERM}, daemon.log  # before its handlers stand, the kernel's own end is good order enough
        assert seconds < 5
    with hanging_probe(tmp_path) as flags:
        daemon = start(*flags).ready()
        daemon.until(lambda: (daemon.metric('vitald_collector_running_seconds{collector="probe"}') or 0) > 1)
        for _ in range(5):
            daemon.signal(signal.SIGHUP)
        status, seconds = daemon.stop()
        assert (status, seconds < 5) == (0, True), daemon.log


def threads(daemon: Vitald) -> Counter[str]:
    """Count the daemon's threads, those that run collectors apart from all others."""
    names = [path.read_text().strip() for path in Path(f"/proc/{daemon.process.pid}/task").glob("*/comm")]
    return Counter("workers" if name == "vitald-run" else "others" for name in names)


@pytest.mark.fault(32)
def test_a_hundred_sighups_at_once_leave_it_steady(start: Start) -> None:
    daemon = start().ready()
    running = re.compile(r'^vitald_collector_last_success_timestamp_seconds\{collector="\w+"\} [1-9]', re.MULTILINE)
    daemon.until(lambda: len(running.findall(daemon.get())) == len(COLLECTORS))  # whatever thread a collector needs is there
    daemon.signal(signal.SIGHUP)
    daemon.hears("RELOADING=1")
    daemon.ready()
    before = threads(daemon)
    for _ in range(100):
        daemon.signal(signal.SIGHUP)
    daemon.hears("RELOADING=1")
    daemon.ready()
    daemon.until(lambda: daemon.metric("vitald_config_last_reload_successful") == 1)
    after = threads(daemon)
    assert after["others"] == before["others"]
    # Workers come as runs overlap, which a busy machine decides: at most one for each collector, and one more while it hands back its own.
    assert after["workers"] <= 2 * len(COLLECTORS)
    assert daemon.metric('vitald_collector_failures_total{collector="probe"}') == 0
    assert daemon.stop()[0] == 0


def test_a_reload_takes_what_changed_and_tells_systemd(start: Start) -> None:
    daemon = start().ready()
    own = daemon.url.removeprefix("http://")
    daemon.until(lambda: (daemon.metric(f'vitald_probe_attempts_total{{target="{own}"}}') or 0) >= 1)
    daemon.signal(signal.SIGHUP)
    daemon.hears("RELOADING=1\nMONOTONIC_USEC=")
    daemon.ready()
    assert (daemon.metric(f'vitald_probe_attempts_total{{target="{own}"}}') or 0) >= 1, "what did not change keeps its history"
    daemon.config.write_text(f'[probe]\ntargets = ["{own}", "127.0.0.1:1"]\nevery = "1s"\ntimeout = "500ms"\n')
    daemon.signal(signal.SIGHUP)
    daemon.until(lambda: daemon.metric('vitald_health{check="tcp_probe",subject="127.0.0.1:1"}') == 2)
    assert "changed: probe" in daemon.log
    assert "tcp_probe 127.0.0.1:1 critical: refused" in daemon.log


@pytest.mark.fault(30)
def test_a_bad_file_on_reload_changes_nothing_and_is_seen(start: Start) -> None:
    daemon = start().ready()
    daemon.until(lambda: daemon.metric('vitald_collector_success{collector="probe"}') == 1)
    good_at = daemon.metric("vitald_config_last_reload_success_timestamp_seconds")
    for bad in ("[probe]\nevery = 'x'", "[probe", "[nonsense]"):
        daemon.config.write_text(bad)
        daemon.signal(signal.SIGHUP)
        daemon.ready()
        assert daemon.metric("vitald_config_last_reload_successful") == 0
    assert daemon.metric("vitald_config_last_reload_success_timestamp_seconds") == good_at
    assert daemon.metric('vitald_collector_success{collector="probe"}') == 1
    assert "settings not taken, the old ones stay: " in daemon.log
    daemon.config.write_text("")
    daemon.signal(signal.SIGHUP)
    daemon.ready()
    assert daemon.metric("vitald_config_last_reload_successful") == 1


@pytest.mark.fault(30)
def test_a_bad_file_at_the_start_is_exit_2_and_one_line(start: Start) -> None:
    daemon = start()
    daemon.config.write_text("")  # the file is read long after this, python takes its time
    bad = daemon.folder / "bad.toml"
    bad.write_text("[probe]\ntarget = []\n")
    second = start("--config.file", str(bad))
    assert second.process.wait(30) == 2
    (line,) = second.log.splitlines()
    assert f"{bad}: probe.target: unknown key; did you mean targets?" in line


@pytest.mark.fault(28)
def test_a_second_daemon_on_the_state_is_told_so(start: Start) -> None:
    first = start().ready()
    second = start("--state.directory", str(first.folder / "state"))
    assert second.process.wait(30) == 1
    assert f"another vitald (pid {first.process.pid}) uses it" in second.log
    assert first.metric("vitald_config_last_reload_successful") == 1


@pytest.mark.fault(29)
def test_a_port_in_use_is_a_clear_error(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon = start("--web.listen-address", f"127.0.0.1:{port}")
        assert daemon.process.wait(30) == 1
        assert f"127.0.0.1:{port}" in daemon.log
        assert "in use" in daemon.log
        assert "Traceback" not in daemon.log


@pytest.mark.fault(2)
def test_a_collector_that_hangs_in_its_first_run_hides_nothing(start: Start, tmp_path: Path) -> None:
    with hanging_probe(tmp_path) as flags:
        daemon = start(*flags).ready()
        daemon.until(lambda: (daemon.metric('vitald_collector_running_seconds{collector="probe"}') or 0) > 1)
        daemon.until(lambda: (daemon.metric('vitald_collector_runs_skipped_total{collector="probe"}') or 0) > 0)
        began = time.monotonic()
        text = daemon.get()
        assert time.monotonic() - began < 1
        assert 'vitald_collector_success{collector="probe"} 0.0' in text
        assert 'vitald_collector_success{collector="host"} 1.0' in text


AS_NOBODY = """
import os, sys
import concurrent.futures.thread, encodings.idna, daemon.application, daemon.logs  # the interpreter may live where nobody else reads
from daemon.cli import main
os.setgroups([])
os.setresgid(54321, 54321, 54321)
os.setresuid(54321, 54321, 54321)  # and with it go all capabilities
sys.exit(main(["run", *sys.argv[1:]]))
"""


@pytest.mark.fault(13)
@pytest.mark.root
def test_without_any_privilege_there_is_less_to_see_and_nothing_broken(tmp_path: Path) -> None:
    flags = ["--web.listen-address", "127.0.0.1:0", "--state.directory", "/var/lib/none-of-ours/state", "--log.format", "json"]
    with (tmp_path / "stderr").open("wb") as stderr:
        process = subprocess.Popen([sys.executable, "-c", AS_NOBODY, *flags], stderr=stderr, cwd=Path(__file__).parents[2])
    said: list[str] = []
    try:
        deadline = time.monotonic() + 30
        awaited = ("metrics at", "running without state", "path_mtu is not available (permission)")
        while missing := [words for words in awaited if not any(words in line for line in said)]:
            assert time.monotonic() < deadline, (missing, said)
            said = [json.loads(row)["msg"] for row in (tmp_path / "stderr").read_text().splitlines()]
            time.sleep(0.05)
        url = next(line for line in said if "metrics at" in line).partition("metrics at ")[2]
        with urllib.request.urlopen(url, timeout=30) as answer:
            text = answer.read().decode()
        for collector in COLLECTORS:
            assert f'vitald_collector_failures_total{{collector="{collector}"}} 0.0' in text
    finally:
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.fault(12)
def test_the_watchdog_is_fed_by_the_scheduler_alone(start: Start) -> None:
    daemon = start(env={"WATCHDOG_USEC": "1500000"}).ready()
    host, _, port = daemon.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as silent:  # a blocked client alone
        silent.send(b"GET /metrics HTTP/1.1\r\n")
        for _ in range(4):
            daemon.hears("WATCHDOG=1")


@pytest.mark.fault(12)
def test_a_watchdog_abort_leaves_every_threads_stack(start: Start) -> None:
    daemon = start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0))).ready()
    daemon.signal(signal.SIGABRT)
    assert daemon.process.wait(30) == -signal.SIGABRT
    assert daemon.log.count("most recent call first") >= 3
    assert "in _main_loop" in daemon.log, "the scheduler's own stack is there"


@pytest.mark.fault(50)
def test_a_reader_of_its_log_that_has_stopped_stops_nothing(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    code = [sys.executable, "-m", "daemon", "run", "--log.level", "debug", "--state.directory", str(tmp_path / "state")]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "c.toml").write_text('[probe]\nevery = "200ms"\ntimeout = "100ms"\ntargets = ["127.0.0.1:1"]\n')
    flags = ["--web.listen-address", f"127.0.0.1:{port}", "--config.file", str(tmp_path / "c.toml")]
    os.set_blocking(writer, False)
    try:
        while True:  # the pipe is full before the daemon says its first word
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    process = subprocess.Popen([*code, *flags], stderr=writer, cwd=Path(__file__).parents[2])
    try:
        deadline = time.monotonic() + 30
        while True:
            assert time.monotonic() < deadline
            try:
                with socket.create_connection(("127.0.0.1", port), 1) as client:
                    client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                    text = b"".join(iter(lambda: client.recv(65536), b"")).decode()
            except OSError:
                time.sleep(0.05)
                continue
            lines = [line for line in text.splitlines() if line.startswith('vitald_own_log_lines_hidden_total{why="dropped"}')]
            if lines and float(lines[0].split()[-1]) >= 2:
                break
            time.sleep(0.05)
    finally:
        process.terminate()
        assert process.wait(30) == 0
        os.close(reader)
        os.close(writer)


@contextmanager
def hanging_probe(folder: Path) -> Iterator[tuple[str, ...]]:
    """Make flags for a daemon whose first sweep never ends: a target times out, and the file it then looks into never answers."""
    netfilter = folder / "proc/sys/net/netfilter"
    netfilter.mkdir(parents=True)
    os.mkfifo(netfilter / "nf_conntrack_count")
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as first, socket.socket() as second:
        for client in (first, second):  # the accept queue of one is full from now on: further SYNs get no answer
            client.setblocking(False)  # noqa: FBT003 — its only argument
            client.connect_ex(full.getsockname())
        target = f"127.0.0.1:{full.getsockname()[1]}"
        (folder / "hanging.toml").write_text(f'[probe]\ntargets = ["{target}"]\nevery = "500ms"\ntimeout = "200ms"\n')
        yield "--config.file", str(folder / "hanging.toml"), "--path.procfs", str(folder / "proc")

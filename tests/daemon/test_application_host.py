"""`vitald run` without a free port, a state directory, privileges, or a reader of its log."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from collectors.registry import COLLECTORS
from tests.kit.running import Launch, hanging_probe


@pytest.mark.fault(28)
def test_a_second_daemon_on_the_state_directory_is_refused(launch: Launch) -> None:
    first = launch().ready()
    second = launch("--state.directory", str(first.folder / "state"))
    assert second.process.wait(30) == 1
    assert f"in use by another vitald (pid {first.process.pid})" in second.log
    assert first.metric("vitald_config_last_reload_successful") == 1


@pytest.mark.fault(29)
def test_a_port_in_use_is_a_clear_error(launch: Launch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon = launch("--web.listen-address", f"127.0.0.1:{port}")
        assert daemon.process.wait(30) == 1
        assert f"127.0.0.1:{port}" in daemon.log
        assert "in use" in daemon.log
        assert "Traceback" not in daemon.log


@pytest.mark.fault(2)
def test_a_collector_that_hangs_in_its_first_run_delays_no_other(launch: Launch, tmp_path: Path) -> None:
    with hanging_probe(tmp_path) as flags:
        daemon = launch(*flags).ready()
        daemon.until(lambda: (daemon.metric('vitald_collector_running_seconds{collector="probe"}') or 0) > 1)
        daemon.until(lambda: (daemon.metric('vitald_collector_runs_skipped_total{collector="probe"}') or 0) > 0)
        began = time.monotonic()
        text = daemon.get()
        assert time.monotonic() - began < 1
        assert 'vitald_collector_success{collector="probe"} 0.0' in text
        assert 'vitald_collector_success{collector="host"} 1.0' in text


AS_NOBODY = """
import os, sys
import concurrent.futures.thread, encodings.idna, daemon.application, daemon.logging  # the interpreter may be unreadable to other users
from daemon.cli.main import main
os.setgroups([])
os.setresgid(54321, 54321, 54321)
os.setresuid(54321, 54321, 54321)  # which drops all capabilities
sys.exit(main(["run", *sys.argv[1:]]))
"""


@pytest.mark.fault(13)
@pytest.mark.root
def test_without_any_privilege_no_collector_fails(tmp_path: Path) -> None:
    flags = ["--web.listen-address", "127.0.0.1:0", "--state.directory", "/var/lib/none-of-ours/state", "--log.format", "json"]
    with (tmp_path / "stderr").open("wb") as stderr:
        process = subprocess.Popen([sys.executable, "-c", AS_NOBODY, *flags], stderr=stderr, cwd=Path(__file__).parents[2])
    output: list[str] = []
    try:
        deadline = time.monotonic() + 30
        awaited = ("vitald started", "running without state", "collector unavailable collector=path_mtu reason=unconfigured")
        while missing := [text for text in awaited if not any(text in line for line in output)]:
            assert time.monotonic() < deadline, (missing, output)
            output = [json.loads(row)["msg"] for row in (tmp_path / "stderr").read_text().splitlines()]
            time.sleep(0.05)
        url = next(line for line in output if "vitald started" in line).partition(" url=")[2]
        with urllib.request.urlopen(url, timeout=30) as answer:
            text = answer.read().decode()
        for collector in COLLECTORS:
            assert f'vitald_collector_failures_total{{collector="{collector}"}} 0.0' in text
    finally:
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.fault(12)
def test_the_watchdog_is_pinged_while_a_client_blocks(launch: Launch) -> None:
    daemon = launch(env={"WATCHDOG_USEC": "1500000"}).ready()
    host, _, port = daemon.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as silent:  # a client that blocks
        silent.send(b"GET /metrics HTTP/1.1\r\n")
        for _ in range(4):
            daemon.hears("WATCHDOG=1")


@pytest.mark.fault(12)
def test_a_watchdog_abort_leaves_every_threads_stack(launch: Launch) -> None:
    daemon = launch(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0))).ready()
    daemon.signal(signal.SIGABRT)
    assert daemon.process.wait(30) == -signal.SIGABRT
    assert daemon.log.count("most recent call first") >= 3
    assert "in _main_loop" in daemon.log, "the scheduler's own stack is there"


@pytest.mark.fault(50)
def test_a_full_log_pipe_stops_nothing(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    code = [sys.executable, "-m", "daemon", "run", "--log.level", "debug", "--state.directory", str(tmp_path / "state")]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "c.toml").write_text('[probe]\ninterval = "200ms"\ntimeout = "100ms"\ntargets = ["127.0.0.1:1"]\n')
    flags = ["--web.listen-address", f"127.0.0.1:{port}", "--config.file", str(tmp_path / "c.toml")]
    os.set_blocking(writer, False)
    try:
        while True:  # the pipe is full before the daemon writes its first line
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
            lines = [line for line in text.splitlines() if line.startswith('vitald_log_messages_suppressed_total{reason="dropped"}')]
            if lines and float(lines[0].split()[-1]) >= 2:
                break
            time.sleep(0.05)
    finally:
        process.terminate()
        assert process.wait(30) == 0
        os.close(reader)
        os.close(writer)

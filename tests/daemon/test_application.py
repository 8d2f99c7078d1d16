"""`vitald run` in a process of its own."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from collectors.registry import COLLECTORS
from tests.kit.running import Launch, Vitald, hanging_probe


def test_without_settings_it_probes_itself(launch: Launch) -> None:
    daemon = launch().ready()
    own = daemon.url.removeprefix("http://")
    daemon.until(lambda: daemon.metric(f'vitald_probe_attempts_total{{target="{own}"}}') == 1)
    assert daemon.metric(f'vitald_health{{check="tcp_probe",subject="{own}"}}') == 0
    assert daemon.metric('vitald_collector_success{collector="probe"}') == 1
    assert daemon.get("/-/ready")
    while " healthy" not in daemon.hears("STATUS="):  # the first one: no run has ended yet
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly(launch: Launch, number: int) -> None:
    daemon = launch().ready()
    daemon.until(lambda: "tcp_probe" in daemon.get())
    daemon.signal(number)
    assert daemon.process.wait(30) == 0
    assert daemon.hears("STOPPING=1")
    assert (daemon.folder / "state/health.json").exists()


@pytest.mark.fault(32)
def test_sigterm_while_starting_reloading_and_hanging_ends_it_within_five_seconds(launch: Launch, tmp_path: Path) -> None:
    for pause in (0.0, 0.2, 0.4, 0.6, 0.8):
        daemon = launch()
        time.sleep(pause)
        status, seconds = daemon.stop()
        assert status in {0, -signal.SIGTERM}, daemon.log  # before its handlers are installed, the default action is a clean end
        assert seconds < 5
    with hanging_probe(tmp_path) as flags:
        daemon = launch(*flags).ready()
        daemon.until(lambda: (daemon.metric('vitald_collector_running_seconds{collector="probe"}') or 0) > 1)
        for _ in range(5):
            daemon.signal(signal.SIGHUP)
        status, seconds = daemon.stop()
        assert (status, seconds < 5) == (0, True), daemon.log


def threads(daemon: Vitald) -> Counter[str]:
    """Count the daemon's threads: those of the runner's pool, and all others."""
    names = [path.read_text().strip() for path in Path(f"/proc/{daemon.process.pid}/task").glob("*/comm")]
    return Counter("workers" if name == "vitald-run" else "others" for name in names)


@pytest.mark.fault(32)
def test_a_hundred_sighups_at_once_start_no_threads_and_fail_nothing(launch: Launch) -> None:
    daemon = launch().ready()
    running = re.compile(r'^vitald_collector_last_success_timestamp_seconds\{collector="\w+"\} [1-9]', re.MULTILINE)
    daemon.until(lambda: len(running.findall(daemon.get())) == len(COLLECTORS))  # every collector has started its threads
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


def test_a_reload_applies_what_changed_and_notifies_systemd(launch: Launch) -> None:
    daemon = launch().ready()
    own = daemon.url.removeprefix("http://")
    daemon.until(lambda: (daemon.metric(f'vitald_probe_attempts_total{{target="{own}"}}') or 0) >= 1)
    daemon.signal(signal.SIGHUP)
    daemon.hears("RELOADING=1\nMONOTONIC_USEC=")
    daemon.ready()
    assert (daemon.metric(f'vitald_probe_attempts_total{{target="{own}"}}') or 0) >= 1, "unchanged collectors keep their history"
    daemon.config.write_text(f'[probe]\ntargets = ["{own}", "127.0.0.1:1"]\ninterval = "1s"\ntimeout = "500ms"\n')
    daemon.signal(signal.SIGHUP)
    daemon.until(lambda: daemon.metric('vitald_health{check="tcp_probe",subject="127.0.0.1:1"}') == 2)
    assert "config reloaded changed=probe" in daemon.log
    assert "tcp_probe 127.0.0.1:1 critical: refused" in daemon.log


@pytest.mark.fault(30)
def test_an_invalid_file_on_reload_changes_nothing_and_is_reported(launch: Launch) -> None:
    daemon = launch().ready()
    daemon.until(lambda: daemon.metric('vitald_collector_success{collector="probe"}') == 1)
    good_at = daemon.metric("vitald_config_last_reload_success_timestamp_seconds")
    for bad in ("[probe]\ninterval = 'x'", "[probe", "[nonsense]"):
        daemon.config.write_text(bad)
        daemon.signal(signal.SIGHUP)
        daemon.ready()
        assert daemon.metric("vitald_config_last_reload_successful") == 0
    assert daemon.metric("vitald_config_last_reload_success_timestamp_seconds") == good_at
    assert daemon.metric('vitald_collector_success{collector="probe"}') == 1
    assert "config reload failed, keeping the previous configuration error=" in daemon.log
    daemon.config.write_text("")
    daemon.signal(signal.SIGHUP)
    daemon.ready()
    assert daemon.metric("vitald_config_last_reload_successful") == 1


@pytest.mark.fault(30)
def test_an_invalid_file_at_the_start_is_exit_2_and_one_line(launch: Launch) -> None:
    daemon = launch()
    daemon.config.write_text("")  # the file is read long after this, python takes its time
    bad = daemon.folder / "bad.toml"
    bad.write_text("[probe]\ntarget = []\n")
    second = launch("--config.file", str(bad))
    assert second.process.wait(30) == 2
    (line,) = second.log.splitlines()
    assert f"{bad}: probe.target: unknown key; did you mean targets?" in line

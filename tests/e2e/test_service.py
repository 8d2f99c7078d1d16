"""The service under systemctl, its watchdog, signals, resource limits and the OOM killer."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.freeze import Frozen, thread_named
from tests.e2e.limits import cpu_quota, memory_max, out_of_memory_kills
from tests.e2e.service import SETTINGS, wait

if TYPE_CHECKING:
    from tests.e2e.conftest import Targets
    from tests.e2e.service import Service
    from tests.kit.network import Network
    from tests.kit.prometheus import Prometheus

MORE = '"10.98.0.2:7004", '


def test_reload_applies_valid_settings_and_keeps_what_did_not_change(service: Service, prometheus: Prometheus, targets: Targets) -> None:
    before = service.pid()
    service.host.write(SETTINGS, targets.settings().replace("targets = [", f"targets = [{MORE}"))
    service.systemctl("reload")
    prometheus.wait_for('vitald_probe_failures_total{target="10.98.0.2:7004", reason="refused"} > 0')
    assert service.pid() == before


@pytest.mark.fault(30)
def test_reload_of_invalid_settings_fails_and_keeps_the_previous_ones(service: Service, prometheus: Prometheus, targets: Targets) -> None:
    before, since = service.pid(), service.cursor()
    prometheus.wait_for("vitald_config_last_reload_successful == 1")
    service.host.write(SETTINGS, targets.settings() + 'timeot = "1s"\n')
    assert service.systemctl("reload", check=False).returncode != 0
    prometheus.wait_for("vitald_config_last_reload_successful == 0")
    output = str(service.wait_for_line(since, "probe.timeot")["MESSAGE"])
    assert SETTINGS in output
    attempts = max(prometheus.wait_for("vitald_probe_attempts_total").values())
    prometheus.wait_for(f"min(vitald_probe_attempts_total) > {attempts}")  # all three are still probed
    service.host.write(SETTINGS, targets.settings())
    service.systemctl("reload")
    prometheus.wait_for("vitald_config_last_reload_successful == 1")
    assert service.pid() == before


def test_restart_is_a_new_process_that_is_scraped_again(service: Service, prometheus: Prometheus) -> None:
    before = service.pid()
    service.systemctl("restart")  # returns at READY=1, when the port is bound
    assert service.pid() != before
    assert service.show("StatusText")
    prometheus.wait_for("vitald_probe_attempts_total >= 2")


@pytest.mark.fault(32)
def test_stop_is_clean_and_start_works_again(service: Service) -> None:
    service.systemctl("stop")
    assert (service.show("Result"), service.show("ExecMainStatus"), service.show("ActiveState")) == ("success", "0", "inactive")
    service.systemctl("start")


@pytest.mark.fault(32)
def test_a_hundred_hangups_at_once_change_nothing(service: Service, prometheus: Prometheus) -> None:
    before = service.pid()
    for _ in range(100):
        os.kill(before, signal.SIGHUP)
    prometheus.wait_for("vitald_config_last_reload_successful == 1")
    assert (service.pid(), service.show("ActiveState")) == (before, "active")


def test_killed_it_is_started_again(service: Service, prometheus: Prometheus) -> None:
    service.drop_in("[Service]\nRestartSec=100ms\n")
    before = service.pid()
    os.kill(before, signal.SIGKILL)
    wait(lambda: service.show("NRestarts") == "1" and service.show("ActiveState") == "active", "systemd to start it again")
    assert service.pid() != before
    prometheus.wait_for("vitald_probe_attempts_total >= 2")


@pytest.mark.fault(12)
def test_a_stuck_scheduler_is_aborted_with_every_stack_in_the_journal(service: Service, prometheus: Prometheus) -> None:
    service.drop_in("[Service]\nWatchdogSec=4\nRestartSec=100ms\n")
    since, before = service.cursor(), service.pid()
    prometheus.wait_for("vitald_probe_attempts_total >= 2")
    frozen = Frozen(thread_named(before, "vitald-sched"))
    frozen.wait(30)
    wait(lambda: service.show("NRestarts") == "1" and service.show("ActiveState") == "active", "systemd to start it again")
    output = [str(entry["MESSAGE"]) for entry in service.journal(since)]
    assert any("Watchdog timeout" in line for line in output)
    assert "Fatal Python error: Aborted" in output
    stacks = [line for line in output if "most recent call first" in line]
    assert len(stacks) >= 3, output  # the main thread, the scheduler, the HTTP server
    assert any("_main_loop" in line for line in output), output  # where APScheduler waits
    assert service.pid() != before
    prometheus.wait_for("vitald_probe_attempts_total >= 2")


@pytest.mark.fault(12)
def test_a_client_that_sends_no_complete_request_does_not_stop_the_watchdog(service: Service, network: Network) -> None:
    service.drop_in("[Service]\nWatchdogSec=3\n")
    before = service.pid()
    silent = network.call(socket.create_connection, ("127.0.0.1", 19100))
    silent.sendall(b"GET /metr")
    began = int(service.show("WatchdogTimestampMonotonic"))  # µs
    wait(lambda: int(service.show("WatchdogTimestampMonotonic")) > began + 4_000_000, "pings beyond the watchdog's period")
    assert (service.pid(), service.show("NRestarts")) == (before, "0")
    silent.close()


def test_the_journal_has_readable_lines_with_priorities(service: Service, targets: Targets) -> None:
    since = service.cursor()
    service.systemctl("restart")
    up = service.wait_for_line(since, "vitald started")
    assert up["PRIORITY"] == "6"
    assert str(up["MESSAGE"]).startswith("level=info msg=")
    assert up["SYSLOG_IDENTIFIER"] == "vitald"
    service.host.write(SETTINGS, targets.settings() + "nonsense = 1\n")
    service.systemctl("reload", check=False)
    assert service.wait_for_line(since, "config reload failed")["PRIORITY"] == "3"


@pytest.mark.fault(30)
def test_invalid_settings_at_start_are_logged_and_it_starts_once_they_are_corrected(service: Service, targets: Targets) -> None:
    service.drop_in("[Service]\nRestartSec=200ms\n")
    since = service.cursor()
    service.host.write(SETTINGS, "[probe]\ntargets = 7\n")
    assert service.systemctl("restart", check=False).returncode != 0
    line = service.wait_for_line(since, "probe.targets")
    assert SETTINGS in str(line["MESSAGE"])
    assert service.show("ExecMainStatus") == "2"
    service.host.write(SETTINGS, targets.settings())
    wait(lambda: service.show("ActiveState") == "active", "the next restart to read the corrected settings")


@pytest.mark.fault(28)
def test_a_second_daemon_on_its_state_exits_with_the_pid_of_the_first(service: Service) -> None:
    before = service.pid()
    second = service.host.run(
        *("runuser", "-u", "vitald", "--", "vitald", "run", "--web.listen-address=127.0.0.1:0", "--state.directory=/var/lib/vitald"),
        check=False,
    )
    assert second.returncode not in (0, None)
    assert f"another vitald (pid {service.show('MainPID')})" in second.stderr
    assert service.pid() == before


@pytest.mark.fault(29)
def test_a_port_in_use_is_named(service: Service) -> None:
    second = service.host.run(
        *("runuser", "-u", "vitald", "--", "vitald", "run", "--state.directory=/tmp/vitald-second"),
        check=False,
    )
    assert second.returncode not in (0, None)
    assert "127.0.0.1:19100" in second.stderr
    assert service.show("ActiveState") == "active"


@pytest.mark.fault(47)
def test_with_a_twentieth_of_a_core_it_still_answers(service: Service, network: Network) -> None:
    many = ", ".join(f'"10.98.0.2:{port}"' for port in range(8000, 8100))
    service.host.write(SETTINGS, f'[probe]\ntargets = [{many}]\ninterval = "100ms"\ntimeout = "50ms"\n')
    service.systemctl("reload")

    def scrape() -> str:
        return network.get("http://127.0.0.1:19100/metrics", 90)

    wait(lambda: 'vitald_probe_attempts_total{target="10.98.0.2:8099"}' in scrape(), "the new targets to be probed")
    pid = service.pid()
    with cpu_quota(pid, 5) as group:
        before = _skipped(scrape())
        wait(lambda: _skipped(scrape()) > before, "a run to be skipped", 60)  # each check of it is a scrape that was answered
        output = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
        assert int(output["nr_throttled"]) > 0
        assert len(list(Path(f"/proc/{pid}/task").iterdir())) < 20  # runs that could not begin were not queued in threads
    assert (service.pid(), service.show("NRestarts")) == (pid, "0")


@pytest.mark.fault(46)
def test_out_of_its_memory_it_is_killed_and_comes_back_with_its_state(service: Service, prometheus: Prometheus) -> None:
    service.drop_in("[Service]\nRestartSec=100ms\n")
    before, since = service.pid(), service.cursor()
    many = ", ".join(f'"10.98.0.2:{port}"' for port in range(10000, 40000))
    with memory_max(before, 4 << 20) as group:
        service.host.write(SETTINGS, f"[probe]\ntargets = [{many}]\n")
        os.kill(before, signal.SIGHUP)
        service.wait_for_line(since, "status=9/KILL", 60)
        assert out_of_memory_kills(group) >= 1
    wait(lambda: service.show("ActiveState") == "active", "systemd to start it again", 60)
    assert service.pid() != before
    prometheus.wait_for("up == 1")
    assert not [e for e in service.journal(since) if "state file unusable" in str(e["MESSAGE"])]


def _skipped(page: str) -> float:
    return float(page.partition('vitald_collector_runs_skipped_total{collector="probe"} ')[2].partition("\n")[0])

"""The daemon while a disk hangs: state, settings, targets, packs, log files; and a stop without a thread or a descriptor to spare."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit import frozen_disk
from tests.kit.frozen_disk import FrozenFolder
from tests.kit.running import Vitald

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(frozen_disk.missing()), reason=frozen_disk.missing()),
]

TIMEOUT = "3,{0},{0}000000,-;nvme nvme0: I/O {0} QID 3 timeout, aborting\n"
COUNTED = 'vitald_log_events_total{signature="nvme-io-timeout"}'
QUIET = '[nic]\nenabled = false\n[memory]\nenabled = false\n[probe]\ninterval = "1s"\ntimeout = "200ms"\n'


@pytest.fixture
def kmsg(tmp_path: Path) -> Path:
    path = tmp_path / "kmsg"
    path.write_text(TIMEOUT.format(1))
    return path


@pytest.fixture
def state(tmp_path: Path) -> Iterator[FrozenFolder]:
    (tmp_path / "backing").mkdir(mode=0o750)
    with FrozenFolder(tmp_path / "state", tmp_path / "backing") as folder:
        yield folder


def settings(folder: Path, kmsg: Path, *, more: str = "", packs: str = "") -> None:
    logs = f'[logs]\ninterval = "1s"\nkmsg = "{kmsg}"\njournal = "off"\nfiles = []\nsignature_dirs = [{packs}]\n'
    (folder / "vitald.toml").write_text(logs + QUIET + more)


def add(kmsg: Path, number: int) -> None:
    with kmsg.open("a") as file:
        file.write(TIMEOUT.format(number))


def is_fresh(daemon: Vitald) -> bool:
    """Return whether the probe's last run is of this moment: the runner runs."""
    at = daemon.metric('vitald_collector_last_success_timestamp_seconds{collector="probe"}')
    return at is not None and time.time() - at < 10


@pytest.mark.fault(153)
@pytest.mark.fault(162)
def test_the_kernels_line_about_the_frozen_volume_is_counted_and_shown(tmp_path: Path, kmsg: Path, state: FrozenFolder) -> None:
    settings(tmp_path, kmsg)
    saved = state.backing / "logs.json"
    with Vitald(tmp_path, env={"WATCHDOG_USEC": "3000000"}) as daemon:
        daemon.ready()
        daemon.until(lambda: daemon.metric(COUNTED) == 1 and '"nvme-io-timeout":1' in (saved.read_text() if saved.exists() else ""))
        state.freeze()
        add(kmsg, 2)
        daemon.until(lambda: daemon.metric(COUNTED) == 2)
        daemon.until(lambda: (daemon.metric("vitald_state_save_failures_total") or 0) >= 1)
        daemon.until(lambda: (daemon.metric("vitald_state_unsaved_seconds") or 0) > 4)
        daemon.hears("WATCHDOG=1")
        before = time.time()
        daemon.until(lambda: (daemon.metric('vitald_collector_last_success_timestamp_seconds{collector="probe"}') or 0) > before)
        assert '"nvme-io-timeout":1' in saved.read_text(), "the old state is left as it is"
        state.thaw()
        daemon.until(lambda: daemon.metric("vitald_state_unsaved_seconds") == 0)
        daemon.until(lambda: '"nvme-io-timeout":2' in saved.read_text())
        state.freeze()
        add(kmsg, 3)
        daemon.until(lambda: daemon.metric(COUNTED) == 3)
        status, seconds = daemon.stop()
        assert (status, seconds < 5) == (0, True), daemon.log
        assert "state not saved" in daemon.log


@pytest.mark.fault(154)
def test_a_start_on_a_frozen_state_disk_serves_and_takes_the_old_state_when_it_thaws(
    tmp_path: Path, kmsg: Path, state: FrozenFolder
) -> None:
    settings(tmp_path, kmsg)
    with Vitald(tmp_path) as daemon:
        daemon.ready()
        daemon.until(lambda: daemon.metric(COUNTED) == 1)
        assert daemon.stop()[0] == 0
    health = json.loads((state.backing / "health.json").read_text())
    (since,) = (row[3] for row in health["value"] if row[:2] == ["storage_log", "nvme0"] or row[0] == "storage_log")
    old = (state.backing / "logs.json").read_bytes()
    add(kmsg, 2)
    state.freeze()
    (tmp_path / "notify").unlink()
    with Vitald(tmp_path) as daemon:
        daemon.ready()
        assert daemon.metric("vitald_state_available") == 0
        daemon.until(lambda: (daemon.metric(COUNTED) or 0) >= 1)
        path = str(state.path)
        daemon.until(lambda: daemon.metric(f'vitald_health{{check="state_save",subject="{path}"}}') == 1)
        assert "state directory hangs" in daemon.log
        add(kmsg, 3)
        assert (state.backing / "logs.json").read_bytes() == old
        state.thaw()
        daemon.until(lambda: daemon.metric("vitald_state_available") == 1)
        daemon.until(lambda: daemon.metric(COUNTED) == 3)
        name = 'vitald_health_since_timestamp_seconds{check="storage_log"'
        daemon.until(lambda: name in daemon.get())
        found = [float(line.split()[-1]) for line in daemon.get().splitlines() if line.startswith(name)]
        assert found == [pytest.approx(since)], "the fault keeps its age"
        daemon.until(lambda: '"nvme-io-timeout":3' in (state.backing / "logs.json").read_text())
        assert daemon.metric(COUNTED) == 3, "by the collector that has the old state: no line is lost or counted twice"
        assert daemon.stop()[0] == 0


@pytest.mark.fault(154)
def test_frozen_settings_targets_and_packs_stop_neither_start_nor_reload_nor_stop(tmp_path: Path, kmsg: Path) -> None:
    with FrozenFolder(tmp_path / "etc", tmp_path / "backing") as etc:
        (etc.backing / "targets.json").write_text('[{"targets": ["127.0.0.1:1"]}]')
        (etc.backing / "packs").mkdir()
        settings(etc.backing, kmsg, packs=f'"{etc.path}/packs"')
        file = etc.backing / "vitald.toml"
        file.write_text(file.read_text().replace("[probe]", f'[probe]\ntarget_files = ["{etc.path}/targets.json"]'))
        flags = ("--config.file", str(etc.path / "vitald.toml"))
        with Vitald(tmp_path, *flags) as daemon:
            daemon.ready()
            attempts = 'vitald_probe_attempts_total{target="127.0.0.1:1"}'
            daemon.until(lambda: (daemon.metric(attempts) or 0) >= 1)
            etc.freeze()
            daemon.until(lambda: (daemon.metric(f'vitald_disk_access_seconds{{path="{etc.path}/targets.json"}}') or 0) > 2)
            before = daemon.metric(attempts) or 0
            daemon.until(lambda: (daemon.metric(attempts) or 0) > before)
            add(kmsg, 2)
            daemon.until(lambda: daemon.metric(COUNTED) == 2)
            daemon.signal(signal.SIGHUP)
            daemon.hears("RELOADING=1")
            status, seconds = daemon.stop()
            assert (status, seconds < 5) == (0, True), daemon.log
        (tmp_path / "notify").unlink()
        with Vitald(tmp_path, *flags) as daemon:
            daemon.ready()
            assert "settings file hangs" in daemon.log
            assert daemon.metric("vitald_state_available") == 1
            etc.thaw()
            daemon.until(lambda: (daemon.metric(attempts) or 0) >= 1)
            assert daemon.stop()[0] == 0


@pytest.mark.fault(154)
def test_a_frozen_log_file_keeps_no_line_of_the_kernel_back(tmp_path: Path, kmsg: Path) -> None:
    with FrozenFolder(tmp_path / "log", tmp_path / "backing") as log:
        (log.backing / "syslog").touch()
        settings(tmp_path, kmsg)
        file = tmp_path / "vitald.toml"
        file.write_text(file.read_text().replace("files = []", f'files = ["{log.path}/syslog"]'))
        offers = 'vitald_log_events_total{signature="dhclient-no-offers"}'
        with Vitald(tmp_path) as daemon:
            daemon.ready()
            daemon.until(lambda: daemon.metric(COUNTED) == 1)
            log.freeze()
            with (log.backing / "syslog").open("a") as syslog:
                syslog.write("Nov 21 10:00:00 ip-10-0-0-56 dhclient[694]: No DHCPOFFERS received.\n")
            daemon.until(lambda: (daemon.metric(f'vitald_disk_access_seconds{{path="{log.path}/syslog"}}') or 0) > 2)
            add(kmsg, 2)
            daemon.until(lambda: daemon.metric(COUNTED) == 2)
            log.thaw()
            daemon.until(lambda: daemon.metric(offers) == 1)
            assert daemon.stop()[0] == 0


UNPRIVILEGED = """#!/bin/sh
exec setpriv --reuid 64321 --regid 64321 --clear-groups --inh-caps +dac_read_search --ambient-caps +dac_read_search {python} "$@"
"""  # a user without other processes, since RLIMIT_NPROC counts all of a user's; it may read the interpreter wherever that is


@pytest.mark.fault(160)
def test_a_stop_without_a_thread_or_a_descriptor_to_spare_saves(tmp_path: Path, kmsg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings(tmp_path, kmsg)
    python = tmp_path / "python"
    python.write_text(UNPRIVILEGED.format(python=sys.executable))
    python.chmod(0o755)
    monkeypatch.setattr("tests.kit.running.sys.executable", str(python))
    (tmp_path / "state").mkdir(mode=0o750)
    for path in (tmp_path, *tmp_path.iterdir()):
        os.chown(path, 64321, 64321)
    with Vitald(tmp_path) as daemon:
        os.chown(tmp_path / "notify", 64321, 64321)
        daemon.ready()
        daemon.until(lambda: daemon.metric(COUNTED) == 1 and is_fresh(daemon))
        pid = daemon.process.pid
        used = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
        free = next(number for number in range(len(used) + 1) if number not in used)
        # What is open stays open, nothing more can be opened. Only the same user may lower the limits where root has no CAP_SYS_RESOURCE.
        limits = ["prlimit", f"--pid={pid}", "--nproc=1:1", f"--nofile={free}:{free}"]
        subprocess.run(["setpriv", "--reuid=64321", "--regid=64321", "--clear-groups", *limits], check=True)
        assert daemon.stop()[0] == 0, daemon.log
        assert "Traceback" not in daemon.log
    assert '"nvme-io-timeout":1' in (tmp_path / "state/logs.json").read_text()

"""The log collector in a daemon: woken by its sources, saved when the daemon stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.running import Vitald

if TYPE_CHECKING:
    from pathlib import Path

NO_OFFERS = "Nov 21 10:00:00 ip-10-0-0-56 dhclient[694]: No DHCPOFFERS received.\n"
SERIES = 'vitald_log_events_total{signature="dhclient-no-offers"}'


def test_an_event_is_counted_long_before_the_next_interval_and_once_over_a_restart(tmp_path: Path) -> None:
    log = tmp_path / "syslog"
    log.touch()
    folder = tmp_path / "daemon"
    folder.mkdir()
    (folder / "vitald.toml").write_text(
        f'[logs]\ninterval = "1h"\nkmsg = "off"\njournal = "off"\nfiles = ["{log}"]\n'
        "[probe]\nenabled = false\n[memory]\nenabled = false\n[nic]\nenabled = false\n"
    )
    with Vitald(folder) as daemon:
        daemon.ready()
        daemon.until(lambda: daemon.metric(SERIES) == 0)
        with log.open("a") as file:
            file.write(NO_OFFERS)
        daemon.until(lambda: daemon.metric(SERIES) == 1)
        assert daemon.metric('vitald_health{check="dhcp_log",subject="dhcp"}') == 2
        assert "dhcp_log dhcp critical" in daemon.log
        assert daemon.stop()[0] == 0
    with log.open("a") as file:
        file.write(NO_OFFERS)
    (folder / "notify").unlink()
    with Vitald(folder) as daemon:
        daemon.ready()
        daemon.until(lambda: daemon.metric(SERIES) == 2)
        assert daemon.stop()[0] == 0


@pytest.mark.fault(15)
def test_an_invalid_user_signature_is_rejected_at_start_with_file_and_id(tmp_path: Path) -> None:
    packs = tmp_path / "packs"
    packs.mkdir()
    (packs / "own.toml").write_text('[[signature]]\nid = "mine"\npattern = "(a+)+b"\n')
    (tmp_path / "vitald.toml").write_text(f'[logs]\nsignature_dirs = ["{packs}"]\n')
    with Vitald(tmp_path) as daemon:
        assert daemon.process.wait(30) == 2
        assert "own.toml: signature 'mine': pattern" in daemon.log

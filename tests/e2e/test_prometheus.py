"""A real Prometheus scrapes a real vitald under a real systemd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Targets
    from tests.e2e.service import Service
    from tests.kit.network import Network
    from tests.kit.prometheus import Prometheus


def test_prometheus_sees_it_up(prometheus: Prometheus) -> None:
    prometheus.wait_for('up{job="vitald"} == 1')


@pytest.mark.fault(41)
def test_each_target_has_its_own_reason_for_failing(prometheus: Prometheus, targets: Targets) -> None:
    expected = {targets.open: set(), targets.refused: {"refused"}, targets.dropped: {"timeout"}}
    prometheus.wait_for("min(vitald_probe_attempts_total) >= 3")
    prometheus.wait_for("count(vitald_probe_failures_total > 0) == 2")
    found = prometheus.query("vitald_probe_failures_total > 0")  # labels: reason, target
    assert {target: {reason for reason, other in found if other == target} for target in expected} == expected


def test_every_reason_is_there_before_it_happens(prometheus: Prometheus, targets: Targets) -> None:
    prometheus.wait_for("up == 1")
    known = "timeout refused reset prohibited host_unreachable net_unreachable dns_not_found dns_timeout dns_error permission"
    known += " local_resources other"
    prometheus.wait_for("vitald_probe_failures_total")
    found = prometheus.query("vitald_probe_failures_total")
    assert {reason for reason, target in found if target == targets.open} == set(known.split())


def test_only_the_open_target_has_a_round_trip_time(prometheus: Prometheus, targets: Targets) -> None:
    found = prometheus.wait_for("vitald_probe_rtt_seconds_count > 0")
    assert set(found) == {(targets.open,)}


def test_the_verdict_says_who_is_gone_and_who_is_well(prometheus: Prometheus, targets: Targets) -> None:
    prometheus.wait_for('count(vitald_health{check="tcp_probe"} == 2) == 2')
    found = prometheus.query('vitald_health{check="tcp_probe"}')
    assert found == {("tcp_probe", targets.open): 0.0, ("tcp_probe", targets.refused): 2.0, ("tcp_probe", targets.dropped): 2.0}


@pytest.mark.fault(56)
def test_promtool_has_nothing_to_say_against_it(network: Network, service: Service) -> None:
    assert service.show("ActiveState") == "active"
    network.run("promtool", "check", "metrics", text=network.get("http://127.0.0.1:19100/metrics"))

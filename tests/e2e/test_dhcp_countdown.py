"""A DHCP server is stopped, and the address expires an hour later. Here the hour is two minutes."""

from __future__ import annotations

import pytest

from tests.kit.dhcp_lab import dhcp_server, request_lease
from tests.kit.nic_lab import namespace

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "dnsmasq", "dhclient")]


def test_the_warning_comes_before_the_address_is_removed_and_its_loss_is_critical_at_once() -> None:
    with namespace("vdhcp") as lab:
        lab.run("ip link add one type veth peer name two")
        lab.run("ip link set one up")
        with dhcp_server(lab) as server:
            request_lease(lab)
            collector = lab.collector("dhcp", {"ignore": ["lo"]})
            (subject,) = [subject for check, subject in collector.run_once().verdicts if check == "dhcp_lease"]
            server.terminate()
            server.wait(10)

            seen = collector.until(lambda result: result.level("dhcp_lease", subject) == 1, 120)
            left = seen.metrics["dhcp_lease_remaining_seconds", "one", subject]
            assert 20 < left < 55
            assert seen.message("dhcp_lease", subject).startswith(f"renewal missed; address {subject} on one is lost in ")
            assert subject in lab.run("ip -4 addr show dev one")  # not yet removed: this is the warning

            seen = collector.until(lambda result: result.level("dhcp_lease", subject) == 2, 120)
            assert "renewal and rebinding missed" in seen.message("dhcp_lease", subject)
            seen = collector.until(lambda result: "vanished" in result.message("dhcp_lease", subject), 120)
            assert subject not in lab.run("ip -4 addr show dev one")

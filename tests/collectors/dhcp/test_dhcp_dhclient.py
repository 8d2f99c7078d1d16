"""Leases of the real dhclient from the real dnsmasq, counted down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.dhcp_lab import dhcp_server, request_lease
from tests.kit.nic_lab import ALL

if TYPE_CHECKING:
    from tests.kit.nic_lab import Namespace


pytestmark = [pytest.mark.root, pytest.mark.needs("ip")]


@pytest.mark.needs("dnsmasq", "dhclient")
def test_the_real_dhclients_lease_is_counted(lab: Namespace) -> None:
    """The server is stopped in the end-to-end test, which may take the two minutes."""
    with dhcp_server(lab):
        request_lease(lab)
        seen = lab.collector("dhcp", ALL).run_once()
        (subject,) = [subject for check, subject in seen.verdicts if check == "dhcp_lease"]
        assert subject.startswith("10.97.0.5")
        assert 110 < seen.metrics["dhcp_lease_duration_seconds", "one", subject] < 125


@pytest.mark.needs("dnsmasq", "dhclient")
def test_the_real_dhclients_ipv6_lease_is_counted(lab: Namespace) -> None:
    with dhcp_server(lab):
        request_lease(lab, 6)
        seen = lab.collector("dhcp", ALL).run_once()
        ((_, subject),) = seen.verdicts
        assert subject.startswith("fd97::5")
        assert 110 < seen.metrics["dhcp_lease_duration_seconds", "one", subject] < 125

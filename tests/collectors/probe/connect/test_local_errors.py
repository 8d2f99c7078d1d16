"""Attribution of failures to this host: literals in, literals out."""

from __future__ import annotations

import errno
import socket

import pytest

from collectors.probe.connect.local_errors import HostFacts, attribute
from collectors.probe.connect.result import ProbeResult, Reason
from collectors.probe.targets.target import SocketAddress, parse

TARGET = parse("10.0.0.5:22")
ADDRESS = SocketAddress(socket.AF_INET, ("10.0.0.5", 22))
FAILED_GATEWAY, CONNTRACK_FULL = HostFacts(frozenset({ADDRESS})), HostFacts(conntrack_full=True)
ANSWERED = ProbeResult(Reason.ANSWERED, rtt=100, seconds=0.0001)
TIMEOUT = ProbeResult(Reason.TIMEOUT, error=errno.ETIMEDOUT, retransmits=1, seconds=2.0)
QUICK_TIMEOUT = TIMEOUT._replace(retransmits=0)
REFUSED = ProbeResult(Reason.REFUSED, error=errno.ECONNREFUSED)
BLOCKED = ProbeResult(Reason.PERMISSION, local_error=True, error=errno.EPERM, retransmits=1)


@pytest.mark.parametrize(
    ("result", "facts", "diagnosed", "reason", "is_local"),
    [
        (TIMEOUT, HostFacts(), None, Reason.TIMEOUT, False),
        (TIMEOUT, FAILED_GATEWAY, None, Reason.HOST_UNREACHABLE, True),
        (REFUSED, FAILED_GATEWAY, None, Reason.REFUSED, False),
        (ANSWERED, FAILED_GATEWAY, Reason.PERMISSION, Reason.ANSWERED, False),
        (TIMEOUT, CONNTRACK_FULL, None, Reason.TIMEOUT, False),  # the retransmission was sent
        (QUICK_TIMEOUT, CONNTRACK_FULL, None, Reason.LOCAL_RESOURCES, True),
        (BLOCKED, CONNTRACK_FULL, None, Reason.LOCAL_RESOURCES, True),
        (BLOCKED, HostFacts(), None, Reason.PERMISSION, True),
        (TIMEOUT, HostFacts(), Reason.PERMISSION, Reason.PERMISSION, True),
        (TIMEOUT, FAILED_GATEWAY, Reason.PERMISSION, Reason.PERMISSION, True),
        (TIMEOUT, HostFacts(), Reason.HOST_UNREACHABLE, Reason.TIMEOUT, False),  # the gateway answers again
    ],
)
def test_a_failure_is_attributed_to_this_host_where_facts_or_a_diagnosis_explain_it(
    result: ProbeResult,
    facts: HostFacts,
    diagnosed: Reason | None,
    reason: Reason,
    is_local: bool,  # noqa: FBT001
) -> None:
    raw = [result, None]
    (attributed, none) = attribute([TARGET, TARGET], [ADDRESS, None], raw, facts, {} if diagnosed is None else {TARGET.text: diagnosed})
    assert none is None
    assert attributed is not None
    assert (attributed.reason, attributed.local_error) == (reason, is_local)
    assert raw == [result, None]

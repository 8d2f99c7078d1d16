"""`mode = "syn"`: the target's port is probed, and its service sees no connect."""

from __future__ import annotations

import errno
import json
import sys
from typing import TYPE_CHECKING

import pytest

from collectors.packets.protocol import ProbeAnswer
from collectors.probe.connect.half_open import result_of
from collectors.probe.connect.result import Reason
from tests.kit.probe_lab import RUN_SWEEPS

if TYPE_CHECKING:
    from tests.kit.probe_lab import Lab

HALF_OPEN = {"targets": ["10.77.1.2:80", "[fd77::2]:80", "10.77.1.2:99", "10.77.1.2:1001", "192.0.2.1:80"], "mode": "syn"}


def accepted(lab: Lab) -> int:
    return int(lab.inside(lab.far, "nstat", "-az", "TcpPassiveOpens").split()[-2])


@pytest.mark.root
@pytest.mark.needs("ip", "nft")
def test_the_service_sees_no_connect(lab: Lab) -> None:
    lab.nft(lab.far, "table inet t {\n chain c { type filter hook input priority 0;\n tcp dport 1001 drop\n }\n}\n")
    lab.serve(lab.far, "80", "81")
    before = accepted(lab)
    first, second = lab.sweep("10.77.1.2:81", sweeps=2, check=True, settings={"groups": [HALF_OPEN]})
    assert [state["reason"] for state in first.values()] == ["answered", "answered", "answered", "refused", "timeout", "net_unreachable"]
    assert first["10.77.1.2:80"]["rtt"] > 0
    assert first["192.0.2.1:80"]["local_error"]
    assert second["10.77.1.2:1001"]["in_a_row"] == 1  # not probed again so soon
    assert accepted(lab) == before + 2  # both of port 81
    assert lab.inside(lab.far, "ss", "-Htan", "state", "syn-recv") == ""


@pytest.mark.root
@pytest.mark.fault(13)
@pytest.mark.needs("ip", "setpriv")
def test_without_the_capability_it_is_a_local_error(lab: Lab) -> None:
    words = ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", sys.executable]
    order = {"settings": {"groups": [HALF_OPEN], "interval": "2s", "timeout": "300ms"}, "sweeps": 1, "check": True}
    state = json.loads(lab.inside(lab.near, *words, RUN_SWEEPS, json.dumps(order)))["10.77.1.2:80"]
    assert (state["reason"], state["local_error"], state["in_a_row"], state["level"]) == ("permission", True, 0, 1)


@pytest.mark.parametrize(
    ("answer", "reason", "own"),
    [
        (ProbeAnswer(1, "syn_ack", rtt=99, tries=2), Reason.ANSWERED, False),
        (ProbeAnswer(1, "unreachable", "10.0.0.1", code=0), Reason.NET_UNREACHABLE, False),
        (ProbeAnswer(1, "unreachable", "10.0.0.1", code=1), Reason.HOST_UNREACHABLE, False),
        (ProbeAnswer(1, "unreachable", "10.0.0.1", code=13), Reason.PROHIBITED, False),
        (ProbeAnswer(1, "unreachable", "10.0.0.2", code=1), Reason.PROHIBITED, False),  # the target itself: a living host
        (ProbeAnswer(1, "unreachable", "fd00::1", code=1), Reason.PROHIBITED, False),
        (ProbeAnswer(1, "local", error=errno.EPERM), Reason.PERMISSION, True),
        (ProbeAnswer(1, "silent", tries=2), Reason.TIMEOUT, False),
    ],
)
def test_an_answer_has_the_result_of_a_connect(answer: ProbeAnswer, reason: Reason, own: bool) -> None:  # noqa: FBT001
    result = result_of(answer, 2.0, "10.0.0.2")
    assert (result.reason, result.local_error) == (reason, own)
    assert result.retransmits == (1 if answer.tries == 2 else 0)

"""Full rounds over all targets, and alarms of targets whose probes turned bad."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from collectors.model import CollectorContext, Inputs, Unavailable
from collectors.packets import capability
from collectors.packets.client import Results
from collectors.packets.protocol import Endpoint
from collectors.path_mtu import collector as path_mtu
from collectors.path_mtu.search import PathMtuResult
from collectors.probe import ProbeReading
from collectors.probe.targets.target import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

FOUND = PathMtuResult(answered=True, mtu=9001, sent=9001)


class Client:
    """Stands for the packet client: every search ends at once."""

    def __init__(self) -> None:
        self.rounds: list[list[str]] = []

    def run(self, scripts: Mapping[str, Any], _seconds: float) -> Results[PathMtuResult]:
        self.rounds.append(list(scripts))
        return Results(dict.fromkeys(scripts, FOUND), "")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the monotonic time, which tests set; packets can be sent, and every address has a route."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(capability, "is_available", lambda *_: True)
    monkeypatch.setattr(path_mtu, "endpoint_of", lambda address: Endpoint("10.0.0.99", address.sockaddr[0], address.sockaddr[1], 9001))
    return now


def collector() -> tuple[path_mtu.PathMtu, Client]:
    made, client = path_mtu.PathMtu(path_mtu.PathMtuSettings(), CollectorContext()), Client()
    made._client = client  # type: ignore[assignment]
    return made, client


def inputs(number: int, *unhealthy: str) -> Inputs:
    targets = [parse(f"10.0.0.{host}:22") for host in range(1, number + 1)]
    addresses = {target.text: target.address for target in targets if target.address}
    return Inputs({"probe": ProbeReading({}, addresses=addresses)}, unhealthy)


def run(made: path_mtu.PathMtu, given: Inputs) -> path_mtu.PathMtuReading:
    made.receive(given)
    return made.read()


def test_an_alarm_before_the_interval_is_over_probes_only_its_target(clock: list[float]) -> None:
    made, client = collector()
    first = run(made, inputs(3))
    assert sorted(first.results) == sorted(client.rounds[0]) == ["10.0.0.1:22", "10.0.0.2:22", "10.0.0.3:22"]
    clock[0] += 100
    second = run(made, inputs(3, "10.0.0.2:22", "eth0"))
    assert client.rounds[1:] == [["10.0.0.2:22"]]
    assert list(second.results)[-1] == "10.0.0.2:22"  # the next round begins with the others
    assert len(second.results) == 3
    clock[0] += 200
    run(made, inputs(3, "10.0.0.1:22"))
    assert len(client.rounds[2]) == 3  # the interval is over
    run(made, inputs(3))
    assert len(client.rounds[3]) == 3  # its own tick


def test_a_second_alarm_of_a_target_within_a_minute_sends_nothing_and_returns_the_same_reading(clock: list[float]) -> None:
    made, client = collector()
    run(made, inputs(2))
    clock[0] += 10
    second = run(made, inputs(2, "10.0.0.2:22"))
    clock[0] += 50
    assert run(made, inputs(2, "10.0.0.2:22")) is second
    clock[0] += 10
    run(made, inputs(2, "10.0.0.2:22"))
    assert client.rounds[1:] == [["10.0.0.2:22"]] * 2


def test_an_outage_of_many_targets_probes_sixteen(clock: list[float]) -> None:
    made, client = collector()
    run(made, inputs(40))
    clock[0] += 10
    run(made, inputs(40, *(f"10.0.0.{host}:22" for host in range(1, 41))))
    assert len(client.rounds[1]) == path_mtu.MAX_ALARMS == 16


@pytest.mark.usefixtures("clock")
def test_without_the_probe_collector_or_its_targets_it_is_unconfigured() -> None:
    made, _ = collector()
    for given in (Inputs(), inputs(0)):
        with pytest.raises(Unavailable) as refusal:
            run(made, given)
        assert refusal.value.reason == "unconfigured"

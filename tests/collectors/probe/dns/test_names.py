"""Targets by name: every address is probed, look-ups have counters, and changed addresses are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from collectors.model import CollectorContext, Level
from collectors.probe.collector import Probe
from collectors.probe.connect.result import ProbeResult, Reason
from collectors.probe.dns import resolver
from collectors.probe.dns.lookup import LookupResult
from collectors.probe.dns.multi_address import add_sweep, qualify
from collectors.probe.dns.resolver import MAX_PROBED, Resolver
from collectors.probe.judge import judge
from collectors.probe.target_stats import TargetStats
from collectors.probe.targets.target import SocketAddress
from tests.collectors.probe.series import series, settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

UP = ProbeResult(Reason.ANSWERED, rtt=100, seconds=0.0001)
DOWN = ProbeResult(Reason.TIMEOUT, seconds=1.0)
NO_ROUTE = ProbeResult(Reason.NET_UNREACHABLE, local_error=True)
UNKNOWN = ProbeResult(Reason.DNS_TIMEOUT)


def sweeps(*ended: Sequence[tuple[str, ProbeResult]]) -> tuple[TargetStats, Mapping[str, TargetStats]]:
    total, addresses = TargetStats(), {}  # type: tuple[TargetStats, Mapping[str, TargetStats]]
    for at, sweep in enumerate(ended):
        total, addresses = add_sweep(total, addresses, sweep, float(at), 0.01)
    return total, addresses


def test_one_address_of_three_that_fails_is_reported_and_is_a_warning() -> None:
    total, addresses = sweeps(*[[("10.0.0.1", UP), ("10.0.0.2", DOWN), ("10.0.0.3", UP)]] * 4)
    assert (total.attempts, total.failures[Reason.TIMEOUT - 1], sum(total.rtts)) == (12, 4, 8)
    verdict = qualify(judge("db.test:80", total, 3), addresses)
    assert verdict.level is Level.WARNING
    assert verdict.message.startswith("10.0.0.2: timed out 4 times in a row")
    assert verdict.message.endswith("; 2 of its 3 addresses answer")
    assert verdict.evidence["failing"] == {"10.0.0.2": 4}


def test_when_no_address_answers_the_target_is_critical() -> None:
    total, addresses = sweeps(*[[("10.0.0.1", DOWN), ("10.0.0.2", DOWN)]] * 3)
    verdict = qualify(judge("db.test:80", total, 3), addresses)
    assert verdict.level is Level.CRITICAL
    assert "0 of its 2 addresses answer" in verdict.message


def test_an_address_this_host_has_no_route_for_is_left_out() -> None:
    total, addresses = sweeps([("10.0.0.1", UP), ("fd00::1", NO_ROUTE)])
    assert (total.attempts, list(addresses)) == (1, ["10.0.0.1"])
    assert qualify(judge("db.test:80", total, 3), addresses).level is Level.HEALTHY


def test_a_name_of_one_address_has_the_verdict_of_any_other_target() -> None:
    total, addresses = sweeps(*[[("10.0.0.1", DOWN)]] * 3)
    assert qualify(judge("db.test:80", total, 3), addresses) == judge("db.test:80", total, 3)


def test_a_failed_look_up_counts_once_and_against_every_address_that_was_known() -> None:
    total, addresses = sweeps([("10.0.0.1", DOWN), ("10.0.0.2", UP)], [("", UNKNOWN)])
    assert total.attempts == 3
    assert {address: record.in_a_row for address, record in addresses.items()} == {"10.0.0.1": 2, "10.0.0.2": 1}
    first, unknown = sweeps([("", UNKNOWN)], [("", UNKNOWN)])
    assert (first.in_a_row, list(unknown)) == (2, [""])


def test_an_address_that_left_is_dropped_and_the_counters_continue() -> None:
    total, addresses = sweeps([("10.0.0.1", DOWN)], [("10.0.0.2", UP)])
    assert (total.attempts, total.in_a_row, list(addresses)) == (2, 0, ["10.0.0.2"])


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[LookupResult]:
    """Return the queue of the next look-ups' results; the last one stays."""
    queue: list[LookupResult] = []
    monkeypatch.setattr(resolver, "look_up", lambda _: queue.pop(0) if len(queue) > 1 else queue[0])
    monkeypatch.setattr(resolver, "REFRESH_SECONDS", 0.01)
    monkeypatch.setattr(resolver, "RETRY_SECONDS", 0.01)
    return queue


def answer(*addresses: str) -> LookupResult:
    return LookupResult(
        tuple(SocketAddress(2, (address, 0)) for address in addresses), None if addresses else ProbeResult(Reason.DNS_NOT_FOUND), 0.5
    )


def until(asked: Resolver, made: int) -> Any:
    """Wait for so many look-ups."""
    while asked.lookups("db.test").made < made:
        asked.resolve_all("db.test", 80)
    return asked.resolve_all("db.test", 80)


def test_look_ups_failures_and_changed_addresses_are_counted(answers: list[LookupResult]) -> None:
    answers += [answer("10.0.0.1", "10.0.0.2"), answer("10.0.0.2", "10.0.0.1"), answer(), answer("10.0.0.2", "10.0.0.3")]
    asked = Resolver(2.0)
    asked.set_names(["db.test"])
    found = until(asked, 4)
    asked.close()
    lookups = asked.lookups("db.test")
    assert (lookups.failures, lookups.addresses, lookups.changes) == ((1, 0, 0, 0), 2, 1)
    assert [address.sockaddr for address in found] == [("10.0.0.2", 80), ("10.0.0.3", 80)]


def test_of_500_addresses_in_changing_order_the_same_few_are_probed(answers: list[LookupResult]) -> None:
    many = [f"10.1.{number // 250}.{number % 250 + 1}" for number in range(500)]
    answers += [answer(*many), answer(*many[::-1])]
    asked = Resolver(2.0)
    asked.set_names(["db.test"])
    first = until(asked, 1)
    again = until(asked, 3)
    asked.close()
    assert len(first) == MAX_PROBED
    assert again == first
    assert (asked.lookups("db.test").addresses, asked.lookups("db.test").changes) == (500, 0)


def test_the_series_of_a_name_and_of_its_addresses(monkeypatch: pytest.MonkeyPatch, up: str) -> None:
    port = up.rpartition(":")[2]
    monkeypatch.setattr(resolver, "look_up", lambda _: answer("127.0.0.1", "127.7.7.7"))
    probe = Probe(settings(targets=[f"db.test:{port}", up]), CollectorContext())
    probe.read()  # the first sweep may have been out before the name was known
    reading = probe.read()
    values, target = series(probe, reading), f"db.test:{port}"
    probe.close()
    assert values["probe_address_up", target, "127.0.0.1"] == 1
    assert values["probe_address_up", target, "127.7.7.7"] == 0  # `up` listens on 127.0.0.1 alone
    assert (values["probe_dns_lookups", target], values["probe_dns_addresses", target], values["probe_dns_changes", target]) == (1, 2, 0)
    assert {key[2] for key in values if key[0] == "probe_dns_failures"} == {"dns_not_found", "dns_timeout", "dns_error", "local_resources"}
    assert values["probe_attempts", target] in {3, 4}
    assert not [key for key in values if key[1] == up and ("dns" in key[0] or key[0] == "probe_address_up")]
    (verdict,) = [verdict for verdict in probe.judge([reading], probe._settings) if verdict.subject == target]
    assert verdict.level is Level.WARNING
    assert verdict.message.startswith("127.7.7.7: refused")

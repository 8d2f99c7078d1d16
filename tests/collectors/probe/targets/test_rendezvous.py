"""Selection of peers: the right number, never oneself, every host probed, in proportion to the zones, and little moves when one joins."""

from __future__ import annotations

import statistics
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.probe.targets.rendezvous import choose, shares

K = 20


def fleet(hosts: int, zones: str = "abc") -> list[tuple[str, str]]:
    return [(f"10.0.{number // 250}.{number % 250}:22", zones[number % len(zones)]) for number in range(hosts)]


def watched(hosts: list[tuple[str, str]], count: int = K) -> dict[str, set[str]]:
    return {me: set(choose(me, [host for host in hosts if host[0] != me], count)) for me, _ in hosts}


@pytest.fixture(scope="module")
def chosen() -> dict[str, set[str]]:
    return watched(fleet(400))


def test_each_agent_has_k_peers_and_never_itself(chosen: dict[str, set[str]]) -> None:
    assert all(len(peers) == K and me not in peers for me, peers in chosen.items())


def test_every_host_is_probed_about_evenly(chosen: dict[str, set[str]]) -> None:
    degrees = Counter(peer for peers in chosen.values() for peer in peers)
    assert len(degrees) == 400
    assert statistics.mean(degrees.values()) == K
    assert 3.5 < statistics.pstdev(degrees.values()) < 5.5  # binomial: √(20·(1-20/399)) = 4.4


def test_peers_are_spread_over_the_zones(chosen: dict[str, set[str]]) -> None:
    zones = dict(fleet(400))
    assert all({zones[peer] for peer in peers} == set("abc") for peers in chosen.values())
    assert all(6 <= number <= 8 for peers in chosen.values() for number in Counter(zones[peer] for peer in peers).values())


def test_the_only_host_of_a_zone_is_not_probed_by_every_agent() -> None:
    hosts = [*fleet(400, "ab"), ("10.9.9.9:22", "c")]
    degrees = Counter(peer for peers in watched(hosts).values() for peer in peers)
    assert 5 <= degrees["10.9.9.9:22"] <= 40


@pytest.mark.parametrize("zones", ["a", "abc"])
def test_one_host_that_leaves_or_joins_changes_about_k_agents_by_a_peer_or_two(zones: str) -> None:
    hosts = fleet(300, zones)
    before, after = watched(hosts), watched(hosts[1:])
    changed = {me: before[me] ^ peers for me, peers in after.items() if before[me] != peers}
    assert K / 2 < len(changed) < 3 * K  # k, and with zones as many again whose share is rounded the other way
    assert all(len(difference) in {2, 4} for difference in changed.values())
    assert sum(hosts[0][0] in peers for peers in before.values()) <= len(changed)


def test_the_order_of_the_list_does_not_matter_and_agents_differ() -> None:
    hosts = fleet(100)
    assert choose("a", hosts, K) == choose("a", hosts[::-1], K)
    assert choose("a", hosts, K) != choose("b", hosts, K)


def test_a_fleet_smaller_than_k_is_probed_whole() -> None:
    assert choose("me", fleet(7), K) == sorted(name for name, _ in fleet(7))
    assert choose("me", [], K) == []


@given(
    sizes=st.dictionaries(st.text(max_size=3), st.integers(1, 50), min_size=1, max_size=6),
    count=st.integers(1, 60),
    phase=st.floats(0, 1, exclude_max=True),
)
def test_shares_are_the_exact_ones_rounded_and_add_up(sizes: dict[str, int], count: int, phase: float) -> None:
    total = sum(sizes.values())
    found = shares(sizes, count, phase)
    assert sum(found.values()) == min(count, total)
    for zone, share in found.items():
        assert 0 <= share <= sizes[zone]
        assert abs(share - sizes[zone] * min(count, total) / total) < 1.000001


def test_shares_are_exact_on_average() -> None:
    phases = [number / 1000 for number in range(1000)]
    mean = statistics.mean(shares({"a": 97, "b": 2, "c": 1}, 20, phase)["c"] for phase in phases)
    assert mean == pytest.approx(0.2, abs=0.01)


@given(st.lists(st.tuples(st.text(), st.text()), unique_by=lambda host: host[0], max_size=40), st.text(), st.integers(1, 30))
def test_any_names_are_accepted(hosts: list[tuple[str, str]], me: str, count: int) -> None:
    found = choose(me, hosts, count)
    assert len(found) == len(set(found)) == min(count, len(hosts))
    assert set(found) <= {name for name, _ in hosts}

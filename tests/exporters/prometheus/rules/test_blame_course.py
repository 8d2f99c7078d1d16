"""Recording rules over time: start and end of a fault, lost scrapes, and faults shorter than an outage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.exporters.prometheus.rules.fleets import agent, check, target, zone

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.needs("promtool")


def course(prober: int, probed: int, attempts: str, failures: str, up: str) -> list[dict[str, str]]:
    """Return the counters of one prober for one target, and `up` of the prober."""
    labels = f'job="vitald", instance="{agent(prober)}", target="{target(probed)}", target_zone="{zone(probed)}"'
    return [
        {"series": f"vitald_probe_attempts_total{{{labels}}}", "values": attempts},
        {"series": f'vitald_probe_failures_total{{{labels}, reason="timeout"}}', "values": failures},
        {"series": f'vitald_probe_failures_total{{{labels}, reason="permission"}}', "values": attempts.replace("+3", "+0")},
        {"series": f'up{{job="vitald", instance="{agent(prober)}"}}', "values": up},
    ]


def down(value: int | None) -> dict[str, dict[str, float]]:
    labels = f'vitald:target_down:bool{{job="vitald", target="{target(5)}", target_zone="{zone(5)}"}}'
    return {"vitald:target_down:bool": {} if value is None else {labels: value}}


def test_a_fault_shows_in_the_first_scrape_interval_of_which_it_fills_most_and_so_does_its_end(tmp_path: Path) -> None:
    series = [each for prober in (1, 2, 3) for each in course(prober, 5, "0+3x40", "0x20 3+3x10 33x9", "1x40")]  # from 5m15s to 7m45s
    for at, value in (("5m", 0), ("5m30s", 1), ("7m30s", 1), ("8m", 0)):
        check(tmp_path, series, down(value), at)


def test_a_lost_scrape_changes_no_verdict(tmp_path: Path) -> None:
    """Two of three probers miss the scrape at 6m while their counters increase. Prometheus writes `up` 0 and marks the series as stale."""
    lost = course(1, 5, "0+3x23 stale 75+3x20", "0x20 3+3x2 stale 15+3x20", "1x23 0 1x20")
    series = [*lost, *[{**each, "series": each["series"].replace(agent(1), agent(2))} for each in lost]]
    series += course(3, 5, "0+3x40", "0x20 3+3x20", "1x40")
    for at in ("5m30s", "6m", "6m15s", "6m30s"):
        check(tmp_path, series, down(1), at)


def test_probers_that_went_down_with_most_of_the_fleet_lose_their_vote_within_a_minute(tmp_path: Path) -> None:
    """Ten probers, of which eight go down at 5m together with the target; their last probes succeeded."""
    dead = [each for prober in (1, 2, 3, 4, 6, 7, 8, 9) for each in course(prober, 5, "0+3x20 stale", "0x20 stale", "1x20 0x30")]
    alive = [each for prober in (10, 11) for each in course(prober, 5, "0+3x50", "0x20 3+3x30", "1x50")]
    check(tmp_path, [*dead, *alive], down(0), "5m30s")
    check(tmp_path, [*dead, *alive], down(1), "6m")


def test_a_reboot_of_45_seconds_is_no_outage_and_two_minutes_are_one(tmp_path: Path) -> None:
    for scrapes, outage in ((3, 0), (8, 1)):
        series = [each for prober in (1, 2, 3) for each in course(prober, 5, "0+3x60", f"0x20 3+3x{scrapes} {3 + 3 * scrapes}x40", "1x60")]
        labels = f'{{job="vitald", host="10.0.0.5", target_zone="{zone(5)}"}}'
        check(tmp_path, series, {"max_over_time(vitald:host_out:bool[5m])": {labels: outage}}, "9m")

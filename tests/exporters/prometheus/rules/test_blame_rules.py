"""Recording rules of blame.yml: synthetic fleets with a fault, evaluated by `promtool test rules`."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.exporters.prometheus.rules.fleets import LOCAL, RULES, Fleet, agent, at_fault, check, counted, target, zone

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.needs("promtool")


def test_a_healthy_fleet_has_every_series_and_none_at_fault(tmp_path: Path) -> None:
    series = Fleet().series()
    present = counted("vitald:target_down:bool == 0", 12) | counted("vitald:prober_at_fault:bool == 0", 12)
    check(tmp_path, series, at_fault() | present | counted("vitald:zone_pair_at_fault:bool == 0", 6))


@pytest.mark.parametrize("identity", ["mesh", "host"])
def test_a_target_that_most_cannot_reach_is_down_and_its_probers_are_not_at_fault(tmp_path: Path, identity: str) -> None:
    fleet = Fleet(silent={5}, fails=lambda _, probed: "timeout" if probed == 5 else None, identity=identity)
    check(tmp_path, fleet.series(), at_fault(targets=[5]) | {'vitald:target_probers:count{target="10.0.0.5:22"}': {
        'vitald:target_probers:count{job="vitald", target="10.0.0.5:22", target_zone="c"}': 11,
    }})  # fmt: skip


def test_a_target_that_a_minority_cannot_reach_is_not_down(tmp_path: Path) -> None:
    fleet = Fleet(fails=lambda prober, probed: "timeout" if probed == 5 and prober in {1, 2, 3, 4, 6} else None)
    share = {
        'round(vitald:target_unreachable:ratio{target="10.0.0.5:22"} * 11)': {'{job="vitald", target="10.0.0.5:22", target_zone="c"}': 5.0}
    }
    check(tmp_path, fleet.series(), at_fault() | share)


def test_a_prober_that_reaches_no_target_is_at_fault_and_its_targets_are_not_down(tmp_path: Path) -> None:
    check(tmp_path, Fleet(fails=lambda prober, _: "timeout" if prober == 4 else None).series(), at_fault(probers=[4]))


def test_a_host_cut_off_in_both_directions_is_down_and_at_fault(tmp_path: Path) -> None:
    fleet = Fleet(fails=lambda prober, probed: "timeout" if 4 in {prober, probed} else None)
    check(tmp_path, fleet.series(), at_fault(probers=[4], targets=[4]))


def test_votes_of_probers_at_fault_do_not_count_against_a_target(tmp_path: Path) -> None:
    """Host 12 is probed by three faulty probers and a healthy one."""
    fleet = Fleet(fails=lambda prober, _: "timeout" if prober in {1, 2, 3} else None)
    probers = [f'instance="{agent(host)}"' for host in (1, 2, 3, 5, 12)]
    series = [each for each in fleet.series() if target(12) not in each["series"] or any(label in each["series"] for label in probers)]
    one = {'vitald:target_probers:count{job="vitald", target="10.0.0.12:22", target_zone="a"}': 1.0}
    check(tmp_path, series, at_fault(probers=[1, 2, 3]) | {'vitald:target_probers:count{target="10.0.0.12:22"}': one})


def test_failures_only_between_two_zones_are_the_zone_pair_at_fault(tmp_path: Path) -> None:
    fleet = Fleet(fails=lambda prober, probed: "timeout" if {zone(prober), zone(probed)} == {"a", "b"} else None)
    check(tmp_path, fleet.series(), at_fault(pairs=["ab", "ba"]))


def test_one_direction_between_zones_may_fail_alone(tmp_path: Path) -> None:
    fleet = Fleet(fails=lambda prober, probed: "timeout" if (zone(prober), zone(probed)) == ("a", "b") else None)
    check(tmp_path, fleet.series(), at_fault(pairs=["ab"]))


def test_a_zone_that_is_cut_off_has_neither_probers_nor_hosts_at_fault(tmp_path: Path) -> None:
    fleet = Fleet(fails=lambda prober, probed: "timeout" if (zone(prober) == "a") != (zone(probed) == "a") else None)
    check(tmp_path, fleet.series(), at_fault(pairs=["ab", "ac", "ba", "ca"]))


def test_two_zones_without_a_third_are_a_zone_pair_at_fault_too(tmp_path: Path) -> None:
    hosts = [host for host in range(1, 13) if zone(host) != "c"]
    fleet = Fleet(hosts=hosts, fails=lambda prober, probed: "timeout" if zone(prober) != zone(probed) else None)
    check(tmp_path, fleet.series(), at_fault(pairs=["ab", "ba"]))


def test_a_zone_that_is_down_has_its_hosts_down_and_no_zone_pair_at_fault(tmp_path: Path) -> None:
    dead = {host for host in range(1, 13) if zone(host) == "b"}
    fleet = Fleet(silent=dead, fails=lambda _, probed: "timeout" if probed in dead else None)
    share = {"vitald:zone_hosts_down:ratio == 1": {'vitald:zone_hosts_down:ratio{job="vitald", target_zone="b"}': 1.0}}
    check(tmp_path, fleet.series(), at_fault(targets=sorted(dead)) | share)


def test_when_most_of_a_fleet_is_down_the_others_are_not_at_fault(tmp_path: Path) -> None:
    dead = set(range(5, 13))
    fleet = Fleet(silent=dead, fails=lambda _, probed: "timeout" if probed in dead else None)
    check(tmp_path, fleet.series(), at_fault(targets=sorted(dead)))


@pytest.mark.parametrize("reason", sorted(LOCAL))
def test_local_and_dns_errors_are_not_votes(tmp_path: Path, reason: str) -> None:
    fleet = Fleet(fails=lambda prober, probed: reason if 4 in {prober, probed} else None)
    present = counted("vitald:target_down:bool == 0", 11)  # there is no vote on the fourth
    check(tmp_path, fleet.series(), at_fault() | present)


def test_without_zones_targets_and_probers_are_still_separated(tmp_path: Path) -> None:
    series = [
        {"series": each["series"].replace(f', target_zone="{letter}"', ""), "values": each["values"]}
        for each in Fleet(silent={5}, fails=lambda prober, probed: "refused" if probed == 5 or prober == 4 else None).series()
        for letter in "abc"
        if f'target_zone="{letter}"' in each["series"] and "self_info" not in each["series"]
    ]
    check(tmp_path, series, {
        "vitald:target_down:bool == 1": {'vitald:target_down:bool{job="vitald", target="10.0.0.5:22"}': 1},
        "vitald:prober_at_fault:bool == 1": {'vitald:prober_at_fault:bool{job="vitald", instance="10.0.0.4:9100"}': 1},
        "vitald:zone_pair_at_fault:bool": {},
    })  # fmt: skip


def test_fleets_of_two_jobs_with_the_same_addresses_are_separate(tmp_path: Path) -> None:
    broken = Fleet(silent={5}, fails=lambda _, probed: "timeout" if probed == 5 else None).series()
    other = [{**each, "series": each["series"].replace('job="vitald"', 'job="other"')} for each in Fleet().series()]
    check(tmp_path, broken + other, at_fault(targets=[5]) | counted('vitald:target_down:bool{job="other"} == 0', 12))


def test_syn_loss_is_recorded_by_target_prober_and_zone_pair(tmp_path: Path) -> None:
    series = Fleet().series()
    for each in list(series):
        if each["series"].startswith("vitald_probe_attempts_total"):
            lossy = f'target="{target(5)}"' in each["series"]
            name = each["series"].replace("attempts", "syn_retransmits")
            series.append({"series": name, "values": "0+1x40" if lossy else "0x40"})
    check(tmp_path, series, {
        "vitald:target_syn_loss:ratio_rate15m > 0": {
            'vitald:target_syn_loss:ratio_rate15m{job="vitald", target="10.0.0.5:22", target_zone="c"}': 0.25,
        },
        "count(vitald:prober_syn_loss:ratio_rate15m > 0)": {"{}": 11},
        'vitald:zone_pair_syn_loss:ratio_rate15m{zone="a"} > 0': {
            'vitald:zone_pair_syn_loss:ratio_rate15m{job="vitald", zone="a", target_zone="c"}': 1 / 13,  # one more SYN for each 12 attempts
        },
    })  # fmt: skip


def test_outages_are_counted_per_100_hosts_and_day(tmp_path: Path) -> None:
    """Two of 50 hosts go down in a day, one of them twice: 6 outages per 100 hosts per day. A host with two ports is one host."""
    changes: dict[str, Any] = {"10.1.0.1": "0x30 1x10 0x30 1x10 0x40", "10.1.0.2": "0x20 1x100"}
    series = [
        {"series": f'vitald:host_out:bool{{job="vitald", host="10.1.0.{host}", target_zone="a"}}',
         "values": changes.get(f"10.1.0.{host}", "0x120")}
        for host in range(1, 51)
    ]  # fmt: skip
    hosts = {"series": 'vitald:hosts:count{job="vitald"}', "values": "50x120"}
    test = {
        "interval": "12m",
        "input_series": [*series, hosts],
        "promql_expr_test": [{
            "expr": "vitald:outages_per_100_hosts:1d", "eval_time": "24h",
            "exp_samples": [{"labels": 'vitald:outages_per_100_hosts:1d{job="vitald"}', "value": 6}],
        }],
    }  # fmt: skip
    outages = tmp_path / "outages.json"  # the outage group alone: its input is recorded by the other group
    group = RULES.read_text().partition("  - name: vitald-outages")
    outages.write_text(f"groups:\n{group[1]}{group[2]}")
    path = tmp_path / "test.json"
    path.write_text(json.dumps({"rule_files": [str(outages)], "evaluation_interval": "15m", "tests": [test]}))
    promtool = shutil.which("promtool") or "promtool"
    done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_host_is_down_only_when_all_its_ports_are(tmp_path: Path) -> None:
    def labels(prober: int, port: int) -> str:
        return f'job="vitald", instance="{agent(prober)}", target="10.0.0.9:{port}"'

    series = []
    for prober, port in itertools.product((1, 2, 3), (22, 443)):
        series.append({"series": f"vitald_probe_attempts_total{{{labels(prober, port)}}}", "values": "0+3x40"})
        failures = "0+3x40" if port == 443 else "0x40"
        series.append({"series": f'vitald_probe_failures_total{{{labels(prober, port)}, reason="refused"}}', "values": failures})
        series.append({"series": f'vitald_probe_failures_total{{{labels(prober, port)}, reason="permission"}}', "values": "0x40"})
    check(tmp_path, series, {
        "vitald:target_down:bool == 1": {'vitald:target_down:bool{job="vitald", target="10.0.0.9:443"}': 1},
        "vitald:host_down:bool": {'vitald:host_down:bool{job="vitald", host="10.0.0.9"}': 0},
    })  # fmt: skip

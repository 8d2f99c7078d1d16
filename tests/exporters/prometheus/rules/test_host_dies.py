"""A host dies while an alert of it fires: the alert goes on until the host is back and healthy; by promtool, for every such alert."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.rulebook import CASES, ROOT, alerts, cases, load, promtool, seconds

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.needs("promtool"), pytest.mark.fault(147)]

ALERTS = alerts()
AGENT = ROOT / "exporters/prometheus/rules/agent.yml"
HOST = "10.0.0.5:19100"
# Ends with the host: what the alert says is no longer true, or its window ends it, or it is about many hosts.
NOT_HELD = {
    "AgentDown", "AgentFlapping", "NoAgents", "AgentsMissing", "ScrapeSlow", "HttpConnectionsEvicted", "OwnLogDropped", "StateNotSaved",
    "SeriesLimitReached", "LogsLost", "LogsLagging",
    "HostDown", "HostServicesDown", "TargetDown", "TargetLossy", "ZoneDown", "ZonePairAtFault", "ZonePairLosesSyns", "TooManyOutages",
    "FleetHalfUpgraded",
}  # fmt: skip
HELD = [name for name in ALERTS if name not in NOT_HELD]
DOWN, BACK = 160, 60  # samples during which the host is gone, and after it


def test_the_list_of_what_is_not_held_is_that_of_the_rules() -> None:
    held = {name for name, rule in ALERTS.items() if f'ALERTS{{alertname="{name}"' in rule["expr"]}
    assert held - {"HostDown"} == set(HELD)
    assert not [name for name in HELD if ALERTS[name]["labels"]["severity"] == "page" and name not in held]


def values(text: str) -> list[str]:
    """Expand promtool's notation to one word per sample."""
    found: list[str] = []
    for word in text.split():
        if repeated := re.fullmatch(r"_x(\d+)", word):
            found += ["_"] * int(repeated[1])
        elif stepped := re.fullmatch(r"(-?[\d.e]+)(?:([+-])([\d.e]+))?x(\d+)", word):
            start, sign, step, count = stepped.groups()
            by = float(step or 0) * (-1 if sign == "-" else 1)
            found += [f"{float(start) + by * index:g}" for index in range(int(count) + 1)]
        else:
            found.append(word)
    return found


def dies(group: dict[str, Any], at: int, *, back: bool = True, listed: bool = True) -> list[dict[str, str]]:
    """Return the series of a case whose hosts die at a sample, are gone for `DOWN` samples, and are back with their first values."""
    found = []
    instances = set()
    for entry in group["input_series"]:
        before = values(entry["values"])[: at + 1]
        if 'instance="' not in entry["series"]:
            found.append(entry)
            continue
        instances |= set(re.findall(r'instance="([^"]+)"', entry["series"]))
        counter = re.match(r"\w+_(total|count)\b", entry["series"])
        after = next(word for word in reversed(before) if word not in ("_", "stale")) if counter else before[0]
        if "_available" in entry["series"] or "_last_success" in entry["series"]:
            after = "_"  # with another reason, or of another time: another series or value, which is not there at first
        if re.match(r"up\b", entry["series"]):
            continue
        found.append({**entry, "values": f"{' '.join(before)} stale _x{DOWN - 1} {f'{after}x{BACK}' if back else ''}"})
    for instance in sorted(instances):
        up = f"1x{at} {f'0x{DOWN - 1}' if listed else f'stale _x{DOWN - 1}'} {f'1x{BACK}' if back else ''}"
        found.append({"series": f'up{{job="vitald",instance="{instance}",zone="a"}}', "values": up})
        other = f'vitald_health{{job="vitald",instance="{instance}",zone="a",check="nic_mtu",subject="other"}}'
        build = f'vitald_build_info{{job="vitald",instance="{instance}",zone="a",version="1"}}'
        again = f"0x{at} stale _x{DOWN - 1} {f'0x{BACK}' if back else ''}"
        found += [{"series": other, "values": again}, {"series": build, "values": again}]
    return found


def check(folder: Path, file: Path, tests: list[dict[str, Any]]) -> None:
    document = load(file)
    sources = {str((file.parent / source).resolve()) for source in document["rule_files"]} | {str(AGENT)}
    plain = []
    for source in sorted(sources):  # without annotations, whose templates take most of the time
        text = re.sub(r"\n {8}annotations:\n(?: {10}.*\n)+", "\n", (ROOT / source).read_text())
        copy = folder / source.rsplit("/", 1)[1]
        copy.write_text(text)
        plain.append(str(copy))
    path = folder / "dies.json"
    path.write_text(json.dumps({"rule_files": plain, "evaluation_interval": document["evaluation_interval"], "tests": tests}))
    done = promtool("test", "rules", path)
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]


def firing(name: str, at: int, count: int) -> dict[str, Any]:
    samples = [{"labels": "{}", "value": count}] if count else []
    return {"expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})', "eval_time": f"{at}s", "exp_samples": samples}


def groups_of(file: Path) -> dict[str, tuple[dict[str, Any], int, int]]:
    """Return the firing case of each held alert of a file: its series, interval, and the sample at which it fires."""
    found = {}
    times = {case.alert: max(at for at, count in case.firing.items() if count) for case in cases() if not case.not_firing}
    for group in load(file)["tests"]:
        if group["name"] in HELD:
            interval = seconds(group["interval"])
            found[group["name"]] = (group, interval, times[group["name"]] // interval)
    return found


@pytest.mark.parametrize("file", [file for file in CASES if file.name != "fleet.test.yml"], ids=lambda file: file.name)
def test_an_alert_goes_on_when_its_host_dies_and_ends_when_the_host_is_back_and_healthy(file: Path, tmp_path: Path) -> None:
    tests = []
    for name, (group, interval, at) in groups_of(file).items():
        gone, back = at * interval, (at + DOWN + 1) * interval
        probes = [
            firing(name, gone, 1),
            *(firing(name, gone + later, 1) for later in (interval, 120, 600, 1800)),
            firing(name, back - 1, 1),
        ]
        ends = 3 * seconds(load(file)["evaluation_interval"]) + interval
        slow = {"TargetLosesSyns", "ProberLocalError", "TargetFlapping", "SkbRidesTheRocket", "ReadingsStale", "CollectorStuck"}
        probes.append(firing(name, back + (600 if name in slow else ends), 0))
        tests.append({"interval": group["interval"], "name": name, "input_series": dies(group, at), "promql_expr_test": probes})
    assert len(tests) > 0
    check(tmp_path, file, tests)


def test_an_alert_ends_a_quarter_of_an_hour_after_its_host_was_removed_from_service_discovery(tmp_path: Path) -> None:
    file = next(file for file in CASES if file.name == "nic.test.yml")
    group, interval, at = groups_of(file)["NicLinkDown"]
    gone = at * interval
    probes = [firing("NicLinkDown", gone + later, 1) for later in (60, 600)] + [firing("NicLinkDown", gone + 1200, 0)]
    series = dies(group, at, back=False, listed=False)
    check(tmp_path, file, [{"interval": group["interval"], "input_series": series, "promql_expr_test": probes}])


def test_a_fault_that_shows_while_a_host_goes_down_does_not_become_a_page_by_its_death(tmp_path: Path) -> None:
    """The link is reported down in the last scrape before a reboot; NicLinkDown waits for 15 s."""
    file = next(file for file in CASES if file.name == "nic.test.yml")
    series = [
        {"series": f'vitald_health{{job="vitald",instance="{HOST}",check="nic_link",subject="eth0"}}', "values": "0x20 2 stale _x60"},
        {"series": f'up{{job="vitald",instance="{HOST}"}}', "values": "1x21 0x60"},
    ]
    probes = [firing("NicLinkDown", at, 0) for at in (315, 330, 345, 400, 600, 900)]
    check(tmp_path, file, [{"interval": "15s", "input_series": series, "promql_expr_test": probes}])


def test_an_alert_ends_at_once_when_it_heals_while_the_host_is_scraped(tmp_path: Path) -> None:
    file = next(file for file in CASES if file.name == "nic.test.yml")
    series = [
        {"series": f'vitald_health{{job="vitald",instance="{HOST}",check="nic_link",subject="eth0"}}', "values": "0x20 2x20 0x20"},
        {"series": f'vitald_health{{job="vitald",instance="{HOST}",check="nic_link",subject="eth1"}}', "values": "0x20 2x20 stale"},
        {"series": f'up{{job="vitald",instance="{HOST}"}}', "values": "1x80"},
    ]
    probes = [firing("NicLinkDown", 600, 2), firing("NicLinkDown", 645, 0)]
    check(tmp_path, file, [{"interval": "15s", "input_series": series, "promql_expr_test": probes}])


def test_a_host_that_is_down_stays_down_when_its_last_prober_dies_and_comes_up_when_it_answers(tmp_path: Path) -> None:
    file = next(file for file in CASES if file.name == "fleet.test.yml")
    down = 'vitald:host_down:bool{job="vitald",host="10.0.0.9",target_zone="b"}'
    series = [
        {"series": down, "values": "0x20 1x20 stale _x60 0x20"},
        {"series": 'up{job="vitald",instance="10.0.0.9:19100"}', "values": "1x20 0x81 1x20"},
    ]
    probes = [firing("HostDown", at, 1) for at in (600, 660, 900, 1500)] + [firing("HostDown", 1620, 0)]
    check(tmp_path, file, [{"interval": "15s", "input_series": series, "promql_expr_test": probes}])


def test_a_prober_at_fault_stays_so_when_its_agent_is_gone(tmp_path: Path) -> None:
    file = next(file for file in CASES if file.name == "fleet.test.yml")
    series = [
        {"series": f'vitald:prober_at_fault:bool{{job="vitald",instance="{HOST}",zone="a"}}', "values": "0x20 1x20 stale _x60 0x20"},
        {"series": f'up{{job="vitald",instance="{HOST}"}}', "values": "1x41 0x60 1x20"},
    ]
    probes = [firing("ProberAtFault", at, 1) for at in (600, 660, 900, 1500)] + [firing("ProberAtFault", 1620, 0)]
    check(tmp_path, file, [{"interval": "15s", "input_series": series, "promql_expr_test": probes}])

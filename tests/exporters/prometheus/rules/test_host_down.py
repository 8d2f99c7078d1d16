"""Only silence says that a host is down: recording rules and alerts together, over synthetic fleets, evaluated by promtool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.exporters.prometheus.rules.fleets import RULES, Fleet, agent, check, zone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

pytestmark = [pytest.mark.needs("promtool"), pytest.mark.fault(145)]
PAGES = '{alertname=~"HostDown|HostServicesDown|TargetDown|ZoneDown|ProberAtFault|ZonePairAtFault"}'


def down(*hosts: int) -> dict[str, dict[str, float]]:
    return {
        "vitald:host_down:bool == 1": {
            f'vitald:host_down:bool{{job="vitald", host="10.0.0.{host}", target_zone="{zone(host)}"}}': 1 for host in hosts
        }
    }


def towards(host: int, *reasons: str | None) -> Callable[[int, int], str | None]:
    """Return a function for `Fleet.fails`: the probers of a host fail in turn for these reasons."""
    return lambda prober, probed: reasons[prober % len(reasons)] if probed == host else None


@pytest.mark.parametrize("reason", ["timeout", "host_unreachable", "net_unreachable"])
def test_a_host_that_none_of_its_probers_hears_is_down(tmp_path: Path, reason: str) -> None:
    check(tmp_path, Fleet(silent={5}, fails=towards(5, reason)).series(), down(5))


@pytest.mark.parametrize("reason", ["refused", "reset", "prohibited"])
def test_a_host_that_refuses_or_resets_is_not_down(tmp_path: Path, reason: str) -> None:
    target = {"count(vitald:target_down:bool == 1)": {"{}": 1.0}}
    check(tmp_path, Fleet(silent={5}, fails=towards(5, reason)).series(), down() | target)


@pytest.mark.parametrize("answer", ["refused", "reset", None])
def test_a_host_that_a_third_of_its_probers_hears_is_not_down(tmp_path: Path, answer: str | None) -> None:
    target = {"count(vitald:target_down:bool == 1)": {"{}": 1.0}}
    check(tmp_path, Fleet(silent={5}, fails=towards(5, "timeout", "timeout", answer)).series(), down() | target)


def test_a_reset_that_one_prober_of_eleven_gets_is_no_sign_of_life(tmp_path: Path) -> None:
    fleet = Fleet(silent={5}, fails=lambda prober, probed: None if probed != 5 else "refused" if prober == 7 else "timeout")
    check(tmp_path, fleet.series(), down(5))


def test_one_port_that_refuses_shows_that_the_host_lives(tmp_path: Path) -> None:
    silent, refusing = Fleet(silent={5}, fails=towards(5, "timeout")), Fleet(silent={5}, fails=towards(5, "refused"))
    other = [{**each, "series": each["series"].replace(':22"', ':443"')} for each in refusing.series() if "self_info" not in each["series"]]
    check(tmp_path, silent.series() + other, down())


def test_a_prober_that_is_refused_everywhere_does_not_keep_a_dead_host_alive(tmp_path: Path) -> None:
    """The firewall of prober 4 answers all that it sends with resets."""
    fleet = Fleet(silent={5}, fails=lambda prober, probed: "reset" if prober == 4 else "timeout" if probed == 5 else None)
    check(tmp_path, fleet.series(), down(5))


def pages(folder: Path, fleet: Fleet, scraped: Iterable[int] = (), at: str = "8m", port: int | None = None) -> set[tuple[str, str]]:
    """Return the pages that fire, with their host. Agents of `scraped` are up. `port` of all targets, instead of 22."""
    series = [
        {"series": f'up{{job="vitald",instance="{agent(host)}"}}', "values": f"{int(host in set(scraped))}x40"} for host in fleet.hosts
    ]
    series += [{**each, "series": each["series"].replace(':22"', f':{port or 22}"')} for each in fleet.series()]
    probe = {"expr": f"count by (alertname, host) (ALERTS{PAGES[:-1]},alertstate='firing'}})", "eval_time": at, "exp_samples": []}
    test = {"interval": "15s", "input_series": series, "promql_expr_test": [probe]}
    path = folder / "pages.json"
    files = [str(RULES), str(RULES.parent / "fleet.yml")]
    path.write_text(json.dumps({"rule_files": files, "evaluation_interval": "15s", "tests": [test]}))
    promtool = shutil.which("promtool") or "promtool"
    done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False, timeout=120)
    output = done.stdout + done.stderr
    assert done.returncode == 0 or "got:" in output, output
    got = output.partition("got:")[2]
    return {(dict(pairs)["alertname"], dict(pairs).get("host", "")) for pairs in _labels(got)}


def _labels(text: str) -> list[list[tuple[str, str]]]:
    return [re.findall(r'(\w+)=\\?"([^"\\]+)\\?"', group) for group in re.findall(r"\{([^{}]*alertname[^{}]*)\}", text)]


ALIVE = [host for host in range(1, 13) if host != 5]


def test_every_port_refused_and_the_agent_gone_pages_that_the_services_are_gone(tmp_path: Path) -> None:
    fired = pages(tmp_path, Fleet(silent={5}, fails=towards(5, "refused")), ALIVE)
    assert ("HostServicesDown", "10.0.0.5") in fired
    assert not [name for name, _ in fired if name == "HostDown"]


def test_every_port_silent_and_the_agent_gone_pages_that_the_host_is_down(tmp_path: Path) -> None:
    assert pages(tmp_path, Fleet(silent={5}, fails=towards(5, "timeout")), ALIVE) == {("HostDown", "10.0.0.5")}


def test_silence_to_most_and_answers_to_some_pages_that_the_services_are_gone(tmp_path: Path) -> None:
    fired = pages(tmp_path, Fleet(silent={5}, fails=towards(5, "timeout", "refused")), ALIVE)
    assert ("HostServicesDown", "10.0.0.5") in fired
    assert not [name for name, _ in fired if name == "HostDown"]


def test_an_agent_that_was_stopped_pages_nobody_if_only_its_own_port_is_probed(tmp_path: Path) -> None:
    """AgentDown is a ticket; the host and its services are well as far as anybody can see."""
    assert pages(tmp_path, Fleet(silent={5}, fails=towards(5, "refused")), ALIVE, port=9100) == set()


def test_a_silent_host_pages_also_if_only_the_port_of_its_agent_is_probed(tmp_path: Path) -> None:
    assert pages(tmp_path, Fleet(silent={5}, fails=towards(5, "timeout")), ALIVE, port=9100) == {("HostDown", "10.0.0.5")}


def test_a_refused_port_of_a_host_whose_agent_is_scraped_is_that_target_alone(tmp_path: Path) -> None:
    assert pages(tmp_path, Fleet(fails=towards(5, "refused")), range(1, 13)) == {("TargetDown", "10.0.0.5")}

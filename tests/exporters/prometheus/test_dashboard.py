"""Dashboard: equal to the output of its generator; every query runs against a real Prometheus that scrapes a real vitald."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING, Any

import pytest

from daemon.cli import main as cli
from tests.kit.dashboards import DASHBOARD, EMPTY_WHEN_HEALTHY, Server, fill, queries
from tests.kit.rulebook import exported, names
from tests.kit.running import Vitald
from tools import make_dashboard
from tools.dashboard_fleet import with_runbook

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_the_committed_dashboard_equals_the_generated_one() -> None:
    assert DASHBOARD.read_text() == make_dashboard.text(), "run .venv/bin/python -m tools.make_dashboard"


def test_vitald_dashboard_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dashboard"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "vitald"


def test_every_metric_of_the_dashboard_is_exported() -> None:
    named = {name for _, query in queries("x") for name in names(query)}
    assert named <= exported(), sorted(named - exported())


def test_panels_do_not_overlap_and_each_has_a_query() -> None:
    panels = [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]
    positions = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(positions)) == len(positions)
    assert all(panel["targets"] for panel in panels)


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def test_every_panel_has_a_description_and_an_id() -> None:
    assert [panel["title"] for panel in panels() if not panel["description"].strip().endswith(".")] == []
    ids = [panel["id"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    assert len(set(ids)) == len(ids)


def test_levels_have_names_and_colours_wherever_they_are_shown() -> None:
    shown = [
        panel
        for panel in panels()
        if panel["type"] in {"state-timeline", "table"} and re.search(r"vitald_(health|log_fault_level)\{", queried(panel))
    ]
    assert len(shown) >= 6
    for panel in shown:
        columns = panel["fieldConfig"]["overrides"] if panel["type"] == "table" else ()
        override = [each["properties"] for each in columns if each["matcher"]["options"] == "severity"]
        fields = {each["id"]: each["value"] for each in override[0]} if override else panel["fieldConfig"]["defaults"]
        names = {value: (level["text"], level["color"]) for value, level in fields["mappings"][0]["options"].items()}
        assert names == {"0": ("healthy", "green"), "1": ("warning", "orange"), "2": ("critical", "red")}, panel["title"]


def queried(panel: dict[str, Any]) -> str:
    return " ".join(target["expr"] for target in panel["targets"])


def test_an_mtu_is_a_plain_number_of_bytes() -> None:
    assert {panel["title"]: panel["fieldConfig"]["defaults"]["unit"] for panel in panels() if "mtu" in panel["title"].lower()} == {
        "path MTU": "none",
        "MTU": "none",
    }


def test_zone_and_host_can_be_selected_and_select_every_panel() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    assert [variable["name"] for variable in dashboard["templating"]["list"]] == ["datasource", "job", "zone", "instance", "runbooks"]
    by_job_only = {"outages per 100 hosts"}
    for panel in panels():
        selected = "$instance" in queried(panel) or "$zone" in queried(panel)
        assert selected or panel["title"] in by_job_only, panel["title"]


def test_the_runbooks_are_links_only_where_their_url_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert "example.com" not in DASHBOARD.read_text()
    assert cli.main(["dashboard", "--runbooks.url", "https://wiki.internal/vitald/"]) == 0
    linked = json.loads(capsys.readouterr().out)
    (variable,) = [each for each in linked["templating"]["list"] if each["name"] == "runbooks"]
    assert variable["query"] == variable["current"]["value"] == "https://wiki.internal/vitald"
    assert '"url": "${__value.raw}"' in json.dumps(linked)
    assert '"url": "${__value.raw}"' not in json.dumps(json.loads(DASHBOARD.read_text()))


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """Start a Prometheus and an agent with three targets: one answers, one refuses, one is a host name."""
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "vitald").mkdir()
    (folder / "prometheus").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        targets = [f"127.0.0.1:{port}", f"127.0.0.1:{closed.getsockname()[1]}", f"localhost:{port}"]
        settings = f'[probe]\ntargets = {json.dumps(targets)}\ninterval = "500ms"\ntimeout = "100ms"\n'
        (folder / "vitald/vitald.toml").write_text(settings)
        with Vitald(folder / "vitald") as agent:
            instance = agent.ready().url.removeprefix("http://")
            with Server(folder / "prometheus", instance) as server:
                server.wait_for('vitald_health{check="tcp_probe"} == 2')
                server.wait_for("vitald:outages_per_100_hosts:1d")
                server.wait_for("rate(vitald_probe_rtt_seconds_count[1m]) > 0")
                yield server, instance


@pytest.mark.needs("prometheus")
def test_every_query_runs_and_has_data_where_its_metrics_are_exported(scraped: tuple[Server, str]) -> None:
    server, instance = scraped
    empty = {(title, query) for title, query in queries(instance) if not server.ask(query)}
    present = {name for name in {name for _, query in empty for name in names(query)} if server.ask(f"count({name})")}
    missing = sorted({name for _, query in empty for name in names(query)} - present)
    print("metrics that this host does not export:", *missing)
    wrong = sorted((title, query) for title, query in empty if names(query) <= present and title not in EMPTY_WHEN_HEALTHY)
    assert not wrong, f"no data although all of its metrics are there: {wrong}"


@pytest.mark.needs("prometheus")
@pytest.mark.parametrize(
    ("url", "shown"), [("", "vitald runbook StorageFailing"), ("https://w.internal/v", "https://w.internal/v/StorageFailing.md")]
)
def test_an_alert_has_the_url_of_its_runbook_or_the_command_that_prints_it(scraped: tuple[Server, str], url: str, shown: str) -> None:
    alert = 'label_replace(vector(1), "alertname", "StorageFailing", "", "")'
    (series,) = scraped[0].ask(fill(with_runbook(alert), runbooks=url))
    assert series["metric"]["runbook"] == shown


@pytest.mark.needs("prometheus")
def test_a_real_prometheus_evaluates_every_rule_without_an_error(scraped: tuple[Server, str]) -> None:
    server, _ = scraped
    assert len(server.rules()) > 60
    assert not [rule["lastError"] for rule in server.rules() if rule["health"] == "err"]


@pytest.mark.needs("prometheus")
def test_the_start_time_of_a_finding_is_in_the_hosts_clock(scraped: tuple[Server, str]) -> None:
    server, _ = scraped
    server.wait_for('vitald_health_since_timestamp_seconds{check="tcp_probe"}')
    (since,) = server.ask('time() - vitald_health_since_timestamp_seconds{check="tcp_probe"}')
    assert 0 <= float(since["value"][1]) < 120

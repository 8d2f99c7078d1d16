"""docs/alertmanager.yml and docs/prometheus.yml: valid, and they do what their comments say, in the real programs."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest
import yaml

from tests.exporters.prometheus.dashboards import Server
from tests.exporters.prometheus.rulebook import ROOT, alerts, load, promtool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALERTMANAGER, PROMETHEUS = ROOT / "docs/alertmanager.yml", ROOT / "docs/prometheus.yml"


def amtool(*arguments: str) -> str:
    done = subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.needs("amtool")
def test_amtool_has_nothing_to_say_against_the_alertmanager_example() -> None:
    assert "SUCCESS" in amtool("check-config", str(ALERTMANAGER))


@pytest.mark.needs("amtool")
@pytest.mark.parametrize("name", alerts())
def test_pages_reach_the_pager_and_tickets_do_not(name: str) -> None:
    severity = alerts()[name]["labels"]["severity"]
    labels = [f"alertname={name}", f"severity={severity}", "host=10.0.0.5", "zone=a"]
    assert amtool("config", "routes", "test", "--config.file", str(ALERTMANAGER), *labels).strip() == {"page": "pager"}.get(
        severity, "tickets"
    )


def test_every_alert_the_example_names_is_there() -> None:
    named = {name for names in re.findall(r'alertname!?=~?"([^"]+)"', ALERTMANAGER.read_text()) for name in names.split("|")}
    assert named
    assert named <= set(alerts())


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Alertmanager with the example; its API's address."""
    folder = tmp_path_factory.mktemp("alertmanager")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = [f"--config.file={ALERTMANAGER}", f"--storage.path={folder}", f"--web.listen-address={address}", "--cluster.listen-address="]
    process = subprocess.Popen(["prometheus-alertmanager", *flags], stderr=(folder / "log").open("wb"))
    yield f"http://{address}/api/v2"
    process.kill()
    process.wait()


def ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": "application/json"}), timeout=10) as answer:
        return json.loads(answer.read() or b"null")


def suppressed(api: str, *labels: dict[str, str]) -> set[str]:
    """Post alerts at once, wait until the inhibitor has looked at each, and name those it silences.

    The API says `active` as soon as an alert is stored, but the inhibitor learns of alerts behind its back, in their order. So the last
    alert silences one that nothing else does: once that one is silent, the inhibitor knows all of them.
    """
    mark = {"case": str(time.monotonic_ns())}
    place = {"host": f"host-{mark['case']}", "collector": "last"}
    last = [{"alertname": name, **place} for name in ("ReadingsStale", "CollectorStuck")]
    deadline = time.monotonic() + 30
    while True:
        try:
            ask(f"{api}/alerts", [{"labels": {**mark, **own}} for own in [*labels, *last]])
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    while {**mark, **last[0]} not in silent(api, mark["case"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return {labels["alertname"] for labels in silent(api, mark["case"])} - {last[0]["alertname"]}


def silent(api: str, case: str) -> list[dict[str, str]]:
    """Give the labels of a case's alerts that are silenced now."""
    return [one["labels"] for one in ask(f"{api}/alerts") if one["labels"].get("case") == case and one["status"]["state"] == "suppressed"]


def alert(name: str, **labels: str) -> dict[str, str]:
    return {"alertname": name, "severity": alerts()[name]["labels"]["severity"], **labels}


HOST = {"host": "10.0.0.5", "zone": "a"}


@pytest.mark.needs("prometheus-alertmanager")
@pytest.mark.parametrize(
    ("loud", "silenced", "heard"),
    [
        (alert("HostDown", **HOST, target_host="10.0.0.5"), [alert("AgentGone", **HOST), alert("NicOffloadDrift", **HOST)], []),
        (
            alert("HostDown", **HOST, target_host="10.0.0.5"),
            [alert("TargetUnreachable", host="10.0.0.6", target_host="10.0.0.5")],
            [alert("AgentGone", host="10.0.0.6", zone="a")],
        ),
        (
            alert("ZoneDown", zone="b"),
            [alert("HostDown", host="10.0.1.5", zone="b"), alert("AgentGone", host="10.0.1.6", zone="b")],
            [alert("DhcpLeaseEnding", host="10.0.2.7", zone="c")],
        ),
        (
            alert("TargetLossy", target="10.0.3.5:22", host="10.0.3.5", target_host="10.0.3.5"),
            [alert("TargetLosesSyns", target="10.0.3.5:22", target_host="10.0.3.5", host="10.0.3.6")],
            [alert("TargetUnreachable", target="10.0.3.7:22", target_host="10.0.3.7", host="10.0.3.6")],
        ),
        (
            alert("ProberAtFault", host="10.0.4.5", instance="10.0.4.5:19100"),
            [alert("TargetUnreachable", host="10.0.4.5", target_host="10.0.4.6")],
            [alert("MemoryFailing", host="10.0.4.5")],
        ),
        (
            alert("DhcpLeaseEnding", host="10.0.5.5"),
            [alert("DhcpClientFailing", host="10.0.5.5")],
            [alert("DhcpRenewalMissed", host="10.0.5.6")],
        ),
    ],
    ids=["dead host", "its probers", "dead zone", "lossy target", "prober", "dhcp"],
)
def test_what_is_known_already_is_not_said_again(alertmanager: str, loud: Any, silenced: Any, heard: Any) -> None:
    assert suppressed(alertmanager, loud, *silenced, *heard) == {one["alertname"] for one in silenced}


@pytest.mark.needs("promtool")
def test_promtool_has_nothing_to_say_against_the_scrape_examples(tmp_path: Path) -> None:
    text = PROMETHEUS.read_text().replace("/etc/prometheus", str(tmp_path))
    for name in ("rules/vitald.yml", "vitald/ca.crt", "vitald/client.crt", "vitald/client.key", "vitald/password"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "rules/vitald.yml").write_text("groups: []\n")
    (tmp_path / "prometheus.yml").write_text(text)
    done = promtool("check", "config", tmp_path / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def relabelled(folder: Path, job: str, found: dict[str, Any]) -> dict[str, str]:
    """Give the labels that Prometheus keeps of a target, as service discovery found it."""
    own = next(config for config in load(PROMETHEUS)["scrape_configs"] if config["job_name"] == job)
    (folder / "found.json").write_text(json.dumps([found]))
    ours = {"job_name": job, "file_sd_configs": [{"files": [str(folder / "found.json")]}], "relabel_configs": own["relabel_configs"]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [ours]}))
    done = promtool("check", "service-discovery", "--timeout=1s", folder / "prometheus.yml", job)
    assert done.returncode == 0, done.stdout + done.stderr
    labels: dict[str, str] = json.loads(done.stdout)[0]["labels"]
    return {name: value for name, value in labels.items() if not name.startswith("__") or name == "__address__"}


@pytest.mark.needs("promtool")
def test_an_ec2_target_keeps_its_instance_id_and_its_zone(tmp_path: Path) -> None:
    meta = {
        "private_ip": "10.0.0.5",
        "instance_id": "i-0abc",
        "availability_zone": "eu-central-1a",
        "instance_type": "m5.large",
        "tag_Name": "web",
    }
    found = {"targets": ["10.0.0.5:80"], "labels": {f"__meta_ec2_{name}": value for name, value in meta.items()}}
    assert relabelled(tmp_path, "vitald", found) == {
        "__address__": "10.0.0.5:19100",
        "instance": "10.0.0.5:19100",
        "instance_id": "i-0abc",
        "instance_type": "m5.large",
        "job": "vitald",
        "name": "web",
        "zone": "eu-central-1a",
    }


@pytest.mark.needs("promtool")
@pytest.mark.parametrize(
    ("written", "asked"), [("10.0.0.5:22", "10.0.0.5:19100"), ("web5", "web5:19100"), ("[fd00::5]:22", "[fd00::5]:19100")]
)
def test_a_file_sd_target_is_scraped_on_the_agents_port_and_keeps_its_zone(tmp_path: Path, written: str, asked: str) -> None:
    found = {"targets": [written], "labels": {"instance_id": "i-0abc", "availability_zone": "a"}}
    expected = {"__address__": asked, "instance": asked, "instance_id": "i-0abc", "job": "vitald-files", "zone": "a"}
    assert relabelled(tmp_path, "vitald-files", found) == expected


@pytest.mark.needs("prometheus", "openssl")
@pytest.mark.parametrize(("password", "up"), [("hunter2", 1), ("hunter3", 0)])
def test_an_agent_behind_tls_and_basic_auth_is_scraped_as_the_example_does(
    tmp_path: Path, pki: Any, serve: Any, password: str, up: int
) -> None:
    shipped = load(PROMETHEUS)["scrape_configs"][0]
    certificate, key = pki.issue("agent", san="DNS:vitald.internal")
    hashed = bcrypt.hashpw(b"hunter2", bcrypt.gensalt(4)).decode()
    web = tmp_path / "web.yml"
    web.write_text(
        yaml.safe_dump(
            {"tls_server_config": {"cert_file": str(certificate), "key_file": str(key)}, "basic_auth_users": {"prometheus": hashed}}
        )
    )
    instance = serve(web_config=web).urls[0].removeprefix("https://").partition("/")[0]
    (tmp_path / "password").write_text(password)
    how = {
        "scheme": shipped["scheme"],
        "tls_config": {**shipped["tls_config"], "ca_file": str(pki.folder / "ca.crt")},
        "basic_auth": {**shipped["basic_auth"], "password_file": str(tmp_path / "password")},
    }
    with Server(tmp_path, instance, **how) as server:
        server.wait_for(f"up == {up}")

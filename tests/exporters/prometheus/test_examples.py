"""docs/alertmanager.yml: valid, and routes and inhibits as documented, in a real Alertmanager."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.rulebook import ROOT, alerts

if TYPE_CHECKING:
    from collections.abc import Iterator

ALERTMANAGER = ROOT / "docs/alertmanager.yml"


def amtool(*arguments: str) -> str:
    done = subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.needs("amtool")
def test_amtool_accepts_the_alertmanager_example() -> None:
    assert "SUCCESS" in amtool("check-config", str(ALERTMANAGER))


@pytest.mark.needs("amtool")
@pytest.mark.parametrize("name", alerts())
def test_pages_reach_the_pager_and_tickets_do_not(name: str) -> None:
    severity = alerts()[name]["labels"]["severity"]
    labels = [f"alertname={name}", f"severity={severity}", "host=10.0.0.5", "zone=a"]
    assert amtool("config", "routes", "test", "--config.file", str(ALERTMANAGER), *labels).strip() == {"page": "pager"}.get(
        severity, "tickets"
    )


def test_every_alert_of_the_example_exists() -> None:
    named = {name for names in re.findall(r'alertname!?=~?"([^"]+)"', ALERTMANAGER.read_text()) for name in names.split("|")}
    assert named
    assert named <= set(alerts())


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a real Alertmanager with the example; yield the URL of its API."""
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
    """Post alerts at once, wait until the inhibitor has processed each, and return the names of those it suppresses.

    The API reports `active` as soon as an alert is stored, but the inhibitor processes alerts asynchronously, in their order. So the last
    alert inhibits one that no other alert does: once that one is suppressed, all of them have been processed.
    """
    mark = {"case": str(time.monotonic_ns())}
    subject = {"host": f"host-{mark['case']}", "collector": "last"}
    last = [{"alertname": name, **subject} for name in ("ReadingsStale", "CollectorStuck")]
    deadline = time.monotonic() + 30
    while True:
        try:
            ask(f"{api}/alerts", [{"labels": {**mark, **own}} for own in [*labels, *last]])
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    while {**mark, **last[0]} not in suppressed_labels(api, mark["case"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return {labels["alertname"] for labels in suppressed_labels(api, mark["case"])} - {last[0]["alertname"]}


def suppressed_labels(api: str, case: str) -> list[dict[str, str]]:
    """Return the labels of the alerts of a case that are suppressed now."""
    return [
        alert["labels"]
        for alert in ask(f"{api}/alerts")
        if alert["labels"].get("case") == case and alert["status"]["state"] == "suppressed"
    ]


def alert(name: str, **labels: str) -> dict[str, str]:
    return {"alertname": name, "severity": alerts()[name]["labels"]["severity"], **labels}


HOST = {"host": "10.0.0.5", "zone": "a"}
OTHER = {"host": "10.0.6.5", "zone": "a"}


@pytest.mark.needs("prometheus-alertmanager")
@pytest.mark.parametrize(
    ("source", "inhibited", "not_inhibited"),
    [
        (alert("HostDown", **HOST, target_host="10.0.0.5"), [alert("AgentDown", **HOST), alert("NicOffloadDrift", **HOST)], []),
        (
            alert("HostDown", **HOST, target_host="10.0.0.5"),
            [alert("TargetUnreachable", host="10.0.0.6", target_host="10.0.0.5")],
            [alert("AgentDown", host="10.0.0.6", zone="a")],
        ),
        (
            alert("HostServicesDown", **OTHER, target_host="10.0.6.5"),
            [
                alert("AgentDown", **OTHER),
                alert("TargetDown", **OTHER),
                alert("TargetUnreachable", host="10.0.6.6", target_host="10.0.6.5"),
            ],
            [alert("StorageFailing", **OTHER), alert("AgentDown", host="10.0.6.6", zone="a")],
        ),
        (
            alert("ZoneDown", zone="b"),
            [alert("HostDown", host="10.0.1.5", zone="b"), alert("AgentDown", host="10.0.1.6", zone="b")],
            [alert("DhcpLeaseExpiring", host="10.0.2.7", zone="c")],
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
            alert("DhcpLeaseExpiring", host="10.0.5.5"),
            [alert("DhcpClientFailing", host="10.0.5.5")],
            [alert("DhcpRenewalMissed", host="10.0.5.6")],
        ),
    ],
    ids=["host down", "its probers", "services", "zone down", "lossy target", "prober", "dhcp"],
)
def test_an_alert_inhibits_its_consequences_only(alertmanager: str, source: Any, inhibited: Any, not_inhibited: Any) -> None:
    assert suppressed(alertmanager, source, *inhibited, *not_inhibited) == {labels["alertname"] for labels in inhibited}

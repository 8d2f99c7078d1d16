"""docs/alertmanager.yml: valid, and it does what its comments say, in the real program."""

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
        (alert("HostDown", **HOST, target_host="10.0.0.5"), [alert("AgentDown", **HOST), alert("NicOffloadDrift", **HOST)], []),
        (
            alert("HostDown", **HOST, target_host="10.0.0.5"),
            [alert("TargetUnreachable", host="10.0.0.6", target_host="10.0.0.5")],
            [alert("AgentDown", host="10.0.0.6", zone="a")],
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
    ids=["dead host", "its probers", "dead zone", "lossy target", "prober", "dhcp"],
)
def test_what_is_known_already_is_not_said_again(alertmanager: str, loud: Any, silenced: Any, heard: Any) -> None:
    assert suppressed(alertmanager, loud, *silenced, *heard) == {one["alertname"] for one in silenced}

"""What a person reads in an alert, rendered by promtool: of hosts with and without an EC2 identity, and of each log fault."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.kit.rulebook import CASES, alerts, cases, load, promtool

pytestmark = pytest.mark.needs("promtool")

ALERTS = alerts()
IDENTITY = "(i-0123456789abcdef0, eu-central-1a)"
LENGTHS = {"summary": 240, "description": 200, "since": 23, "action": 160, "command": 160, "runbook": 60}
WRONG = re.compile(r"unknown|<no value>|<error|<nil>|%!|\{\{|\(\s*\)|\(,|, ?\)|  |\s[,.:;]|,,|^\s|\s$")
UTC = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")
LOGS = Path(__file__).parent / "logs.test.yml"


def host_info(series: list[dict[str, str]], *, identity: bool) -> list[dict[str, str]]:
    """Return `vitald_host_info` of each instance of these series; instances of hosts that are only probed are on port 19100."""
    text = "\n".join(entry["series"] for entry in series)
    instances = set(re.findall(r'instance="([^"]+)"', text))
    instances |= {f"{host}:19100" for host in re.findall(r'host="([^"]+)"', text) + re.findall(r'target="([^"]+):\d+"', text)}
    own = ',instance_id="i-0123456789abcdef0",instance_type="m5.large",availability_zone="eu-central-1a",ami_id="ami-1"' if identity else ""
    return [
        {"series": f'vitald_host_info{{job="vitald",instance="{each}",hostname="h",kernel="6.1",boot_id="b"{own}}}', "values": "1x600"}
        for each in sorted(instances)
    ]


def rendered(folder: Path, files: list[str], groups: list[dict[str, Any]], interval: str) -> list[dict[str, str]]:
    """Return the annotations of all alerts that fire in these groups, with their labels as `label_NAME`."""
    path = folder / "texts.json"
    path.write_text(json.dumps({"rule_files": files, "evaluation_interval": interval, "tests": groups}))
    done = promtool("test", "rules", path)
    got = (done.stdout + done.stderr).split("got:")[1:]
    found = []
    for part in got:
        for labels, texts in re.findall(r"Labels:(\{.*?\})\s+Annotations:(\{.*\})", part):
            found.append({f"label_{name}": value for name, value in pairs(labels)} | dict(pairs(texts)))
    return found


def pairs(text: str) -> list[tuple[str, str]]:
    return [(name, json.loads(f'"{value}"')) for name, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', text)]


def sources(document: dict[str, Any], file: Path) -> list[str]:
    return [str((file.parent / source).resolve()) for source in document["rule_files"]]


@pytest.mark.parametrize("identity", [True, False], ids=["EC2", "no EC2"])
@pytest.mark.parametrize("file", CASES, ids=lambda file: file.name)
def test_every_alert_says_what_and_where_and_since_when_and_leaves_out_what_is_not_known(
    file: Path, tmp_path: Path, *, identity: bool
) -> None:
    document = load(file)
    firing = {case.alert: max(at for at, count in case.firing.items() if count) for case in cases() if not case.not_firing}
    groups = []
    for group in document["tests"]:
        if at := firing.get(group["name"]):
            check = {"eval_time": f"{at}s", "alertname": group["name"], "exp_alerts": []}
            series = group["input_series"] + host_info(group["input_series"], identity=identity)
            if not identity:
                series = [{**entry, "series": re.sub(r'^(\w+\{.*instance="[^"]+"),zone="\w+"', r"\1", entry["series"])} for entry in series]
            groups.append({"interval": group["interval"], "input_series": series, "alert_rule_test": [check]})
    found = rendered(tmp_path, sources(document, file), groups, document["evaluation_interval"])
    assert len(found) >= len(groups) > 0
    assert {each["runbook"].split()[-1] for each in found} == {name for name in firing if any(g["name"] == name for g in document["tests"])}
    for each in found:
        texts = {name: text for name, text in each.items() if not name.startswith("label_")}
        assert {name: text for name, text in texts.items() if WRONG.search(text.replace(" = :", "=") if name == "command" else text)} == {}
        assert {name: len(text) for name, text in texts.items() if len(text) > LENGTHS[name]} == {}
        assert UTC.fullmatch(each["since"]), each["since"]
        of_a_host = {"label_instance", "label_host"} & set(each) and each["label_alertname"] != "TargetLossy"
        assert (IDENTITY in each["summary"]) == bool(identity and of_a_host), each["summary"]
        assert re.fullmatch(r"[^.]+(\.\w[^.]*)*\.", each["description"]), each["description"]  # one sentence
        assert re.fullmatch(r"[^.]+(\.\w[^.]*)*\.", each["action"]), each["action"]
        assert not [name for name in texts if "\n" in texts[name]]


@pytest.mark.parametrize(
    "name", [name for name in ALERTS if re.match("(DhcpClient|NicDriver|Storage|Memory|Kernel)(Failing|Warning)$", name)]
)
def test_an_alert_of_a_log_fault_names_device_meaning_and_sender(name: str, tmp_path: Path) -> None:
    check = re.findall(r'check="(\w+)"', ALERTS[name]["expr"])[0]
    level = 2 if name.endswith("Failing") else 1
    host = 'job="vitald",instance="10.0.0.5:19100"'
    fault = f'vitald_log_fault_level{{{host},check="{check}",signature="s",device="DEVICE",unit="UNIT",meaning="It broke"}}'
    series = [
        {"series": fault.replace("DEVICE", "nvme1n1").replace("UNIT", "kernel"), "values": f"_x4 {level}x16 stale"},
        {"series": fault.replace("DEVICE", "").replace("UNIT", "cron.service"), "values": f"_x4 {level}x16 stale"},
        {"series": f'vitald_health{{{host},check="{check}",subject="x"}}', "values": f"0x4 {level}x15 0x10"},
    ]
    checks: list[dict[str, Any]] = [{"eval_time": at, "alertname": name, "exp_alerts": []} for at in ("45s", "4m", "5m45s")]
    groups = [{"interval": "15s", "input_series": series + host_info(series, identity=True), "alert_rule_test": [each]} for each in checks]
    files = [str(LOGS.parents[4] / "exporters/prometheus/rules/logs.yml")]
    assert {each["summary"] for each in rendered(tmp_path, files, groups[1:2], "15s")} == {
        f"10.0.0.5:19100 {IDENTITY}: It broke, nvme1n1, logged by kernel",
        f"10.0.0.5:19100 {IDENTITY}: It broke, logged by cron.service",
    }
    assert rendered(tmp_path, files, [groups[0]], "15s") == rendered(tmp_path, files, [groups[2]], "15s") == []

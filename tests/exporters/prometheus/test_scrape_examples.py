"""docs/prometheus.yml: relabelling of discovered targets, TLS and basic auth."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest
import yaml

from tests.kit.dashboards import Server
from tests.kit.rulebook import ROOT, RULES, load, promtool

if TYPE_CHECKING:
    from pathlib import Path

PROMETHEUS = ROOT / "docs/prometheus.yml"


@pytest.mark.needs("promtool")
def test_the_command_of_the_first_line_accepts_the_file() -> None:
    command = re.search(r"`([^`]+)`", PROMETHEUS.read_text().partition("\n")[0])
    assert command is not None
    done = subprocess.run(command[1].split(), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


@pytest.mark.needs("promtool")
def test_promtool_accepts_the_scrape_examples_with_their_files_and_the_optional_lines(tmp_path: Path) -> None:
    text = re.sub(r"# (?=(cert_file|key_file):)", "", PROMETHEUS.read_text()).replace("/etc/prometheus", str(tmp_path))
    assert text.count("cert_file:") == text.count("key_file:") == 1
    for name in ("vitald/ca.crt", "vitald/client.crt", "vitald/client.key", "vitald/password"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "rules").mkdir()
    for file in RULES:
        (tmp_path / "rules" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "prometheus.yml").write_text(text)
    done = promtool("check", "config", tmp_path / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(RULES)} rule files found" in done.stdout


def relabelled(folder: Path, job: str, found: dict[str, Any]) -> dict[str, str]:
    """Return the labels of a discovered target after relabelling."""
    example = next(config for config in load(PROMETHEUS)["scrape_configs"] if config["job_name"] == job)
    (folder / "found.json").write_text(json.dumps([found]))
    tested = {"job_name": job, "file_sd_configs": [{"files": [str(folder / "found.json")]}], "relabel_configs": example["relabel_configs"]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [tested]}))
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
    ("listed", "scraped"), [("10.0.0.5:22", "10.0.0.5:19100"), ("web5", "web5:19100"), ("[fd00::5]:22", "[fd00::5]:19100")]
)
def test_a_file_sd_target_is_scraped_on_the_agents_port_and_keeps_its_zone(tmp_path: Path, listed: str, scraped: str) -> None:
    found = {"targets": [listed], "labels": {"instance_id": "i-0abc", "availability_zone": "a"}}
    expected = {"__address__": scraped, "instance": scraped, "instance_id": "i-0abc", "job": "vitald-files", "zone": "a"}
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
    job = {
        "scheme": shipped["scheme"],
        "tls_config": {**shipped["tls_config"], "ca_file": str(pki.folder / "ca.crt")},
        "basic_auth": {**shipped["basic_auth"], "password_file": str(tmp_path / "password")},
    }
    with Server(tmp_path, instance, **job) as server:
        server.wait_for(f"up == {up}")

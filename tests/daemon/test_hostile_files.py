"""Files of others that are deep, huge or full of aliases, in a real `vitald run` and `vitald check-config`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from collectors.model import BadInput
from daemon import config

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.running import Launch

pytestmark = pytest.mark.fault(159)

LAUGHS = "- &a0 {targets: ['a:1']}\n" + "".join(f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 20))
YAML = {
    "list.yml": "[" * 100_000,
    "mapping.yml": "{a: " * 100_000,
    "block.yaml": "- " * 100_000,
    "keys.yml": "? " * 100_000,
    "laughs.yml": LAUGHS,
    "itself.yml": "&a [*a]",
    "tags.yml": "".join(f"%TAG !a{n}! x\n" for n in range(100_000)) + "---\n[]\n",
}
JSON = {
    "list.json": "[" * 100_000,
    "mapping.json": '{"a":' * 100_000,
    "targets.json": '[{"targets":' + "[" * 100_000 + "]" * 100_000 + "}]",
    "labels.json": '[{"labels": {"a": ' + "9" * 100_000 + "}}]",
    "number.json": '[{"targets": [1e' + "9" * 100_000 + "]}]",
}
TOML = {
    "list": "a = " + "[" * 100_000,
    "tables": "a = " + "{a = " * 100_000,
    "header": "[" + ".".join("a" * 100_000) + "]",
    "key": "nic." + ".".join("a" * 100_000) + " = 1",
    "quoted key": '"a". ' * 1000 + "b = 1",
    "33 levels": "a = " + "[" * 33 + "1" + "]" * 33,
    "integer": "[probe]\nmesh_peers = " + "9" * 100_000,
    "bad targets": "[probe]\ntargets = [" + "'x'," * 20_000 + "]",
}


def test_each_is_refused_in_a_line_and_the_others_targets_are_probed(launch: Launch, tmp_path: Path) -> None:
    targets = tmp_path / "targets"
    targets.mkdir()
    for name, text in (YAML | JSON).items():
        (targets / name).write_text(text)
    (targets / "good.yml").write_text("- targets: ['127.0.0.1:9']\n")
    (tmp_path / "mesh.yml").write_text("[" * 100_000)
    settings = f'[probe]\ntarget_files = ["{targets}/*"]\nmesh_files = ["{tmp_path}/mesh.yml"]\ninterval = "1s"\ntimeout = "500ms"\n'
    settings = settings.replace(f'"{targets}/*"', f'"{targets}/*.json", "{targets}/*.yml", "{targets}/*.yaml"')
    file = tmp_path / "own.toml"
    file.write_text(settings)
    daemon = launch("--config.file", str(file)).ready()
    daemon.until(lambda: daemon.metric('vitald_health{check="tcp_probe",subject="127.0.0.1:9"}') is not None)
    for path in (*(str(targets / name) for name in YAML | JSON), f"{tmp_path}/mesh.yml"):
        assert daemon.metric(f'vitald_probe_target_file_valid{{file="{path}"}}') == 0, path
        (line,) = [line for line in daemon.log.splitlines() if "target file rejected" in line and path in line]
        assert len(line) < 500
    assert daemon.metric(f'vitald_probe_target_file_valid{{file="{targets}/good.yml"}}') == 1
    for text in TOML.values():  # a reload of each keeps the previous settings
        file.write_text(text)
        daemon.signal(signal.SIGHUP)
        daemon.hears("RELOADING=1")
        daemon.hears("READY=1")
        assert daemon.metric("vitald_config_last_reload_successful") == 0
    assert daemon.metric("vitald_config_last_reload_successful") == 0
    assert daemon.metric('vitald_health{check="tcp_probe",subject="127.0.0.1:9"}')
    assert daemon.stop()[0] == 0
    assert "Traceback" not in daemon.log


@pytest.mark.parametrize("text", TOML.values(), ids=TOML)
def test_settings_are_refused_with_the_file(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        config.parse(text, "vitald.toml")
    assert all(line.startswith("vitald.toml: ") and len(line) < 300 and "\n" not in line for line in refused.value.problems)
    assert len(refused.value.problems) <= 50


def test_check_config_prints_a_line_for_each(tmp_path: Path) -> None:
    web, packs = tmp_path / "web.yml", tmp_path / "packs"
    web.write_text("basic_auth_users: " + "[" * 100_000)
    packs.mkdir()
    for name, text in TOML.items():
        if name != "bad targets":
            (packs / f"{name.replace(' ', '')}.toml").write_text(text)
    for name, text in YAML.items():
        (tmp_path / name).write_text(text)
    files = json.dumps([str(tmp_path / name) for name in YAML])
    settings = tmp_path / "vitald.toml"
    settings.write_text(f'[web]\nconfig_file = "{web}"\n[probe]\ntarget_files = {files}\n[logs]\nsignature_dirs = ["{packs}"]\n')
    command = [sys.executable, "-m", "daemon", "check-config", str(settings), "--user", "root"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    lines = (done.stdout + done.stderr).splitlines()
    assert done.returncode == 2, lines
    for path in (web, *(tmp_path / name for name in YAML), *packs.iterdir()):
        assert [line for line in lines if str(path) in line], (path, lines)
    assert not [line for line in lines if "Traceback" in line or len(line) > 500]

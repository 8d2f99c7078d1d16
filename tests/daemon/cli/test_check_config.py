"""`vitald check-config`: all that a start would refuse, at once, and as the user of the service."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.running import Launch

ROOT = Path(__file__).parents[3]


def check_config(*args: str | Path) -> tuple[int, str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-m", "daemon", "check-config", *map(str, args)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, [line for line in done.stderr.splitlines() if line.startswith("vitald: ")]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that every user can read."""
    made = Path("/tmp") / f"vitald-check-config-{os.getpid()}"  # tmp_path is for its user only
    made.mkdir(mode=0o755)
    yield made
    shutil.rmtree(made)


@pytest.mark.fault(149)
def test_what_a_start_would_refuse_is_named_at_once(tmp_path: Path, launch: Launch) -> None:
    (tmp_path / "web.yml").write_text("basic_auth_users: {ops: secret}\n")
    (tmp_path / "targets.json").write_text('[{"targets": ["nowhere"]}]')
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs/own.toml").write_text("[[signature]]\nid = 'x'\npattern = '('\n")
    (tmp_path / "state").touch()
    config = tmp_path / "vitald.toml"
    config.write_text(f"""
[web]
listen_addresses = ["19100", "192.0.2.7:19100"]
telemetry_path = "/-/ready"
config_file = "{tmp_path}/web.yml"
socket = "{tmp_path}/none/vitald.sock"
[probe]
target_files = ["{tmp_path}/*.json"]
[logs]
signature_dirs = ["{tmp_path}/packs"]
""")
    code, output, problems = check_config(config, "--state.directory", tmp_path / "state")
    assert (code, output) == (2, "")
    for text in (
        "listen address '19100': not HOST:PORT; expected",
        "listen address '192.0.2.7:19100': not an address of this host",
        "telemetry path '/-/ready': not usable",
        "web.yml: basic_auth_users.'ops': not a bcrypt hash",
        "none/vitald.sock: No such directory",
        "targets.json: ",
        "own.toml: ",
        "state: not a directory",
    ):
        assert sum(text in problem for problem in problems) == 1, (text, problems)
    daemon = launch("--config.file", str(config), "--web.listen-address", "19100")
    assert daemon.process.wait(60) == 2
    for text in ("'19100': not HOST:PORT", "telemetry path", "not a bcrypt hash", "No such directory"):
        assert text in daemon.log, "run names all of them, too"


def test_an_address_that_another_program_listens_on_is_valid(tmp_path: Path) -> None:
    """The daemon that is reloaded is such a program."""
    config = tmp_path / "vitald.toml"
    with socket.create_server(("127.0.0.1", 0)) as server:
        config.write_text(f'[web]\nlisten_addresses = ["127.0.0.1:{server.getsockname()[1]}", "localhost:0", ":0"]\n')
        assert check_config(config) == (0, f"{config}: valid\n", [])


@pytest.mark.root
@pytest.mark.fault(149)
def test_root_checks_with_the_permissions_of_the_services_user(folder: Path) -> None:
    config, web, state = folder / "vitald.toml", folder / "web.yml", folder / "state"
    config.write_text(f'[web]\nlisten_addresses = ["127.0.0.1:80"]\nconfig_file = "{web}"\n')
    web.touch(0o600)
    state.mkdir(0o750)
    code, _, problems = check_config(config, "--user", "nobody", "--state.directory", state)
    assert code == 2
    for text in ("127.0.0.1:80': not permitted", f"{web}: Permission denied", f"{state}: owned by uid 0; expected uid 65534"):
        assert sum(text in problem for problem in problems) == 1, (text, problems)
    config.write_text(f'[web]\nconfig_file = "{web}"\n')
    web.chmod(0o644)
    os.chown(state, 65534, 65534)
    assert check_config(config, "--user", "nobody", "--state.directory", state) == (0, f"{config}: valid for the user nobody\n", [])
    config.chmod(0o600)
    code, _, problems = check_config(config, "--user", "nobody", "--state.directory", state)
    assert (code, problems) == (2, [f"vitald: {config}: Permission denied; expected a file that uid 65534 can read"])

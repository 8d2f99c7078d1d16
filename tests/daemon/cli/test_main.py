import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli import main as cli
from daemon.self_metrics import VERSION

ROOT = Path(__file__).parents[3]


def vitald(*args: str | Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "COLUMNS": "160", "TERM": "dumb"}
    return subprocess.run([sys.executable, "-m", "daemon", *map(str, args)], capture_output=True, text=True, check=False, cwd=ROOT, env=env)


@pytest.fixture
def closed() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def settings(folder: Path, text: str) -> Path:
    """Write settings without log sources, since this machine's log may contain real faults."""
    path = folder / "vitald.toml"
    path.write_text(text + '\n[logs]\nkmsg = "off"\njournal = "off"\nfiles = []\n')
    return path


def test_help_names_every_command() -> None:
    done = vitald("--help")
    assert done.returncode == 0
    for command in ("run", "check", "check-config", "probe"):
        assert re.search(rf"^    {command}\b", done.stdout, re.MULTILINE)
        assert vitald(command, "--help").returncode == 0


def test_no_command_and_a_wrong_one_are_bad_usage() -> None:
    assert vitald().returncode == 2
    wrong = vitald("chekc")
    assert wrong.returncode == 2
    assert "no command 'chekc' (did you mean check?)" in wrong.stderr
    assert vitald("run", "--nonsense").returncode == 2


def test_the_version_is_that_of_the_package() -> None:
    assert vitald("--version").stdout == f"vitald {VERSION}\n"


def test_check_on_a_healthy_host_is_0(tmp_path: Path) -> None:
    done = vitald("check", "--config.file", settings(tmp_path, ""))
    assert done.returncode == 0, done.stderr
    assert "healthy tcp_probe: 127.0.0.1:" in done.stdout


def test_check_prints_message_evidence_and_remediation(tmp_path: Path, closed: str) -> None:
    done = vitald("check", "--config.file", settings(tmp_path, f'[probe]\ntargets = ["{closed}"]\n'))
    assert done.returncode == 1, done.stderr
    for words in ("WARNING", "tcp_probe", closed, "refused once", "errno", "ECONNREFUSED", "check the service"):
        assert words in done.stdout


def test_check_in_json(tmp_path: Path, closed: str) -> None:
    file = settings(tmp_path, f'[probe]\ntargets = ["{closed}"]\nfailures_until_critical = 1\n')
    done = vitald("check", "--format", "json", "--config.file", file, "--collector.disable-defaults", "--collector.probe")
    assert done.returncode == 2
    document = json.loads(done.stdout)
    assert document["exit"] == 2
    (finding,) = [one for one in document["findings"] if one["level"] != "healthy"]
    assert (finding["check"], finding["subject"], finding["level"]) == ("tcp_probe", closed, "critical")
    assert finding["evidence"]["reason"] == "refused"


def test_check_with_a_failed_collector_is_3(tmp_path: Path) -> None:
    broken = settings(tmp_path, f'[probe]\ntarget_files = ["{tmp_path}/*.json"]\n')
    (tmp_path / "targets.json").write_text("{")
    done = vitald("check", "--config.file", broken, "--collector.disable-defaults", "--collector.probe")
    assert done.returncode in {0, 3}, "a target file that cannot be read is no finding against the host"
    assert "Traceback" not in done.stdout + done.stderr


def test_check_with_every_collector_disabled_reports_that(tmp_path: Path) -> None:
    done = vitald("check", "--config.file", settings(tmp_path, ""), "--collector.disable-defaults")
    assert (done.returncode, done.stdout) == (0, "no collector is enabled\n")


@pytest.mark.fault(30)
def test_check_config_names_every_file_that_is_wrong(tmp_path: Path) -> None:
    good = settings(tmp_path, "")
    assert vitald("check-config", good).stdout == f"{good}: valid\n"
    assert vitald("check-config", tmp_path / "none.toml").returncode == 2
    (tmp_path / "targets.json").write_text('[{"targets": ["nowhere"]}]')
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_fil: x}\n")
    bad = settings(tmp_path, f'[probe]\ntarget_files = ["{tmp_path}/*.json"]\n[web]\nconfig_file = "{tmp_path}/web.yml"\n')
    done = vitald("check-config", bad)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 2
    assert f"{tmp_path}/targets.json" in done.stderr
    assert f"{tmp_path}/web.yml" in done.stderr


def test_a_closed_pipe_causes_no_traceback_and_keeps_the_exit_status(tmp_path: Path) -> None:
    command = f"{sys.executable} -m daemon check --config.file {settings(tmp_path, '')} --format json | head -c 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_command_imports_only_what_it_uses() -> None:
    """The imports of all collectors take 0.2 s, in which `vitald scan` reads a fifth of a gigabyte."""
    code = "import sys; from daemon.cli.main import main; main(sys.argv[1:]); print(*sorted(m for m in sys.modules if 'collectors.' in m))"
    done = subprocess.run([sys.executable, "-c", code, "explain", "no such line"], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1].split()
    assert "collectors.logs.matching.matcher" in loaded
    assert not {"collectors.registry", "collectors.nic.collector", "collectors.probe.connect.sweep"} & set(loaded)


@pytest.mark.parametrize("command", ["run", "check", "status", "check-config", "probe", "rules", "runbook", "dashboard", "scan", "explain"])
def test_each_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    output = capsys.readouterr().out
    assert f"usage: vitald {command}" in output
    assert len(output.splitlines()) > 3


NO_DESCRIPTORS = """
import resource, sys
from daemon.cli import check_config, main, run
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.mark.fault(167)
@pytest.mark.parametrize(("command", "status"), [("run", {1, 2}), ("check-config", {2})])
def test_without_descriptors_from_the_beginning_of_main_on_there_is_a_line_and_no_traceback(
    tmp_path: Path, command: str, status: set[int]
) -> None:
    arguments = {"run": ["--state.directory", str(tmp_path / "state")], "check-config": ["/dev/null"]}[command]
    done = subprocess.run(
        [sys.executable, "-c", NO_DESCRIPTORS, command, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode in status, done.stderr
    assert done.stderr.strip()
    assert "raceback" not in done.stderr

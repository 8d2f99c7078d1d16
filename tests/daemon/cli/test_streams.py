"""Every command with every kind of broken standard stream, locale, directory and home: one clear line or a result, never a traceback."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon.cli.main import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
SECONDS = 120
BREAKAGES = {
    "full stdout": ">/dev/full",
    "full stdout and stderr": ">/dev/full 2>/dev/full",
    "closed stdin": "<&-",
    "closed stdout": ">&-",
    "closed stderr": "2>&-",
    "all closed": "<&- >&- 2>&-",
    "reader gone": "| true",
    "latin-1": "",
    "ascii": "",
    "no home": "",
    "home is a file": "",
    "cwd removed": "",
}
ENVIRONMENT = {
    "latin-1": {"LC_ALL": "C", "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
    "ascii": {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "no home": {"HOME": "", "XDG_CACHE_HOME": ""},
    "home is a file": {"HOME": "/etc/passwd", "XDG_CACHE_HOME": "/etc/passwd"},
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[str]]]:
    """Return the arguments of each command, with an output that is not ASCII where it has one of its own."""
    folder = tmp_path_factory.mktemp("streams")
    (folder / "vitald.toml").write_text('[logs]\nkmsg = "off"\njournal = "off"\nfiles = []\n')
    (folder / "syslog").write_text("Nov 27 10:00:00 h kernel: Out of memory: Killed process 1 (é\u2028█) total-vm:1kB\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        yield {
            "check": [
                "--config.file",
                str(folder / "vitald.toml"),
                "--collector.disable-defaults",
                "--collector.probe",
                "--collector.memory",
            ],
            "status": ["--web.socket", str(folder / "none.sock")],
            "check-config": [str(folder / "vitald.toml")],
            "probe": ["-c", "2", "-i", "0.1", address],
            "scan": ["--year", "2026", str(folder / "syslog")],
            "runbook": ["StorageFailing"],
            "explain": ["kernel: Out of memory: Killed process 1 (é█)"],
        }


def command(name: str, arguments: list[str]) -> str:
    return shlex.join([sys.executable, "-m", "daemon", name, *arguments])


@pytest.mark.fault(149)
@pytest.mark.parametrize("breakage", BREAKAGES)
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "run"])
def test_a_broken_environment_is_no_traceback(name: str, breakage: str, host: dict[str, list[str]], tmp_path: Path) -> None:
    whole = command(name, host.get(name, []))
    env = {**os.environ, "COLUMNS": "80", "PYTHONPATH": str(ROOT), **ENVIRONMENT.get(breakage, {})}
    sound = sound_status(whole)
    if breakage == "cwd removed":
        gone = tmp_path / "gone"
        gone.mkdir()
        whole = f"cd {gone} && rmdir {gone} && {whole}"
    output, code = run_with_status(f"{whole} {BREAKAGES[breakage]}", env)
    assert "Traceback" not in output
    assert "Exception ignored" not in output
    if "stdout" in breakage or breakage == "all closed":
        expected = sound or (3 if name in {"check", "status"} else 2)
        assert code == expected, output
        if breakage in {"full stdout", "closed stdout"} and name != "status":
            assert output.count("vitald: standard output: ") == 1, output
    else:
        assert code == sound, output


@functools.cache
def sound_status(whole: str) -> int:
    """Return the exit status of a command with nothing broken."""
    return run_with_status(f"{whole} > /dev/null", {**os.environ, "COLUMNS": "80"})[1]


def run_with_status(whole: str, env: dict[str, str]) -> tuple[str, int]:
    """Run a pipeline; return what it printed and the exit status of its first command."""
    read, write = os.pipe()
    with os.fdopen(read) as pipe:
        done = subprocess.run(
            ["bash", "-c", f"{whole}; echo ${{PIPESTATUS[0]}} >&{write}"],
            env=env,
            cwd=ROOT,
            capture_output=True,
            check=False,
            timeout=SECONDS,
            pass_fds=[write],
        )
        os.close(write)
        return (done.stdout + done.stderr).decode("utf-8", "replace"), int(pipe.read())


@pytest.mark.fault(149)
def test_probe_without_an_end_ends_when_its_reader_does(host: dict[str, list[str]]) -> None:
    address = host["probe"][-1]
    output, code = run_with_status(f"{command('probe', ['-c', '0', '-i', '0.05', address])} | head -2", dict(os.environ))
    assert code == 0
    assert "Traceback" not in output


@pytest.mark.fault(149)
def test_the_daemon_with_a_closed_stderr_writes_its_log_into_no_other_file(tmp_path: Path) -> None:
    """A descriptor that is closed at the start becomes that of the first file or socket that is opened."""
    whole = command("run", ["--state.directory", str(tmp_path / "state"), "--web.listen-address", "127.0.0.1:0"])
    process = subprocess.Popen(["bash", "-c", f"exec {whole} <&- >&- 2>&-"], cwd=ROOT)
    try:
        for _ in range(600):
            if (tmp_path / "state/lock").exists():
                break
            time.sleep(0.05)
        targets = {fd: str(Path(f"/proc/{process.pid}/fd/{fd}").readlink()) for fd in (0, 1, 2)}
        assert targets == dict.fromkeys((0, 1, 2), "/dev/null")
    finally:
        process.kill()
        process.wait()


@pytest.mark.fault(149)
def test_a_tree_that_is_not_installed_works(tmp_path: Path) -> None:
    for layer in ("collectors", "exporters", "daemon"):
        shutil.copytree(ROOT / layer, tmp_path / layer, ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "import importlib.metadata as m, sys, runpy\n"
        "def missing(name): raise m.PackageNotFoundError(name)\n"
        "m.version = missing\n"
        "sys.argv = ['vitald', '--version']\n"
        "runpy.run_module('daemon', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "vitald unknown\n", "")


@pytest.mark.fault(149)
def test_a_tree_without_its_dependencies_is_one_line() -> None:
    bare = subprocess.run([sys.executable, "-S", "-m", "daemon", "--version"], cwd=ROOT, capture_output=True, text=True, check=False)
    if bare.returncode == 0:  # this interpreter has them without site-packages
        assert bare.stdout.startswith("vitald ")
    else:
        assert len(bare.stderr.splitlines()) == 1
        assert "vitald: no module " in bare.stderr
        assert "expected an installation: make install" in bare.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["chekc"], 2, "no command 'chekc' (did you mean check?); expected one of run, check, status"),
        (["check", "--formatt", "json"], 3, "unrecognized arguments: --formatt (did you mean --format?)"),
        (["check", "--format", "jsn"], 3, "argument --format: invalid choice: 'jsn' (choose from"),
        (["run", "--web.listen-adress=:1"], 2, "--web.listen-adress=:1 (did you mean --web.listen-address?)"),
        (["run", "--log.level", "loud"], 2, "choose from"),
        (["check", "--config.file", "/nonexistent.toml"], 3, "/nonexistent.toml: no such file; expected"),
        (["check-config", "/nonexistent.toml"], 2, "/nonexistent.toml: no such file; expected"),
        (["check-config", "--user", "no-such-user"], 2, "--user 'no-such-user': "),
    ],
)
def test_a_typing_error_names_what_was_meant(arguments: list[str], code: int, words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "daemon", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr

"""`vitald status`: the daemon's own view, over its socket."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from daemon.cli import status
from daemon.cli.main import main

if TYPE_CHECKING:
    from tests.kit.running import Launch, Vitald

ROOT = Path(__file__).parents[3]
QUIET = '\n[logs]\nkmsg = "off"\njournal = "off"\nfiles = []\n'
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def vitald(*args: str | Path, columns: int = 80) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "COLUMNS": str(columns), "TERM": "dumb"}
    return subprocess.run([sys.executable, "-m", "daemon", *map(str, args)], capture_output=True, text=True, check=False, cwd=ROOT, env=env)


def settle(daemon: Vitald, path: Path) -> dict[str, object]:
    """Wait until every collector has run, and return the document."""
    found: list[dict[str, object]] = []

    def has_run() -> bool:
        found[:] = [status.fetch(path)]
        return all(collector["state"] != "pending" for collector in found[0]["collectors"])  # type: ignore[attr-defined]

    daemon.until(has_run)
    return found[0]


def test_it_prints_findings_since_when_collectors_and_the_last_reload(launch: Launch, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"127.0.0.1:{server.getsockname()[1]}"
    path = tmp_path / "status.sock"
    daemon = launch("--web.socket", str(path)).ready()
    daemon.config.write_text(f'[probe]\ntargets = ["{closed}"]\nfailures_until_critical = 1\ninterval = "200ms"\ntimeout = "90ms"{QUIET}')
    daemon.signal(signal.SIGHUP)
    daemon.until(lambda: ("tcp_probe", "critical") in {(finding["check"], finding["level"]) for finding in status.fetch(path)["findings"]})
    settle(daemon, path)
    document = json.loads((done := vitald("status", "--web.socket", path, "--format", "json")).stdout)
    assert done.returncode == document["exit"] == 2
    (critical,) = [finding for finding in document["findings"] if finding["check"] == "tcp_probe"]
    assert (critical["level"], critical["subject"]) == ("critical", closed)
    assert document["findings"][0]["level"] == "critical", "the worst comes first"
    assert ISO.fullmatch(critical["since"])
    assert document["last_reload"]["successful"] is True
    assert {collector["name"] for collector in document["collectors"]} >= {"probe", "nic", "memory", "logs"}
    assert all(ISO.fullmatch(collector["last_read"] or document["started"]) for collector in document["collectors"])
    table = vitald("status", "--web.socket", path, columns=160)
    assert table.returncode == 2
    for text in ("CRITICAL", "tcp_probe", closed, critical["since"], "settings loaded at", "memory", "running for"):
        assert text in table.stdout


def test_a_failed_reload_is_named(launch: Launch, tmp_path: Path) -> None:
    path = tmp_path / "status.sock"
    daemon = launch("--web.socket", str(path)).ready()
    daemon.config.write_text("[nonsense")
    daemon.signal(signal.SIGHUP)
    daemon.until(lambda: status.fetch(path)["last_reload"]["successful"] is False)
    assert "the last reload failed" in vitald("status", "--web.socket", path, columns=160).stdout


def test_after_the_daemon_was_killed_one_line_and_3(launch: Launch, tmp_path: Path) -> None:
    path = tmp_path / "status.sock"
    daemon = launch("--web.socket", str(path)).ready()
    daemon.process.kill()
    daemon.process.wait()
    done = vitald("status", "--web.socket", path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, "", 1)
    assert "no process listens on it; the daemon is not running: systemctl status vitald" in done.stderr
    again = launch("--web.socket", str(path)).ready()
    assert status.fetch(path)["version"]
    again.signal(signal.SIGTERM)
    again.process.wait(30)
    assert not path.exists()


def test_a_second_daemon_on_the_same_socket_is_refused(launch: Launch, tmp_path: Path) -> None:
    path = tmp_path / "status.sock"
    launch("--web.socket", str(path)).ready()
    second = launch("--web.socket", str(path))
    assert second.process.wait(30) == 1
    assert "another process listens on it" in second.log
    assert status.fetch(path)["version"], "the first one still answers"


def test_without_a_daemon_it_is_one_line_and_3(tmp_path: Path) -> None:
    done = vitald("status", "--web.socket", tmp_path / "none.sock")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, "", 1)
    assert "no such socket; the daemon is not running" in done.stderr


@pytest.mark.root
def test_without_permission_it_is_one_line_and_3(launch: Launch) -> None:
    folder = Path("/run/vitald-status-test")
    folder.mkdir(mode=0o755)
    try:
        launch("--web.socket", str(folder / "s")).ready()
        arguments = ["status", "--web.socket", str(folder / "s")]
        run = f"from daemon.cli.main import main; sys.exit(main({arguments}))"
        code = f"import sys; sys.path.insert(0, {str(folder / 'tree')!r}); {run}"
        for layer in ("collectors", "exporters", "daemon"):
            shutil.copytree(ROOT / layer, folder / "tree" / layer)
        python = shutil.which("python3", path="/usr/bin") or sys.executable
        packages = next(entry for entry in sys.path if entry.endswith("site-packages"))
        shutil.copytree(Path(packages, "msgspec"), folder / "tree/msgspec")
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", python, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, "", 1), done.stderr
        assert "permission denied; expected root or a member of the group vitald: sudo vitald status" in done.stderr
    finally:
        shutil.rmtree(folder)


@pytest.mark.fault(168)
@pytest.mark.parametrize(
    "document",
    [
        {"exit": 1, "findings": [], "collectors": [], "version": "1"},
        {"exit": 0, "findings": [], "collectors": [{}], "version": "1", "started": "s", "uptime_seconds": 1, "last_reload": {}},
        {"exit": 0, "findings": [], "collectors": [], "version": "1", "started": "s", "uptime_seconds": float("inf"),
         "last_reload": {"successful": True, "loaded": "l"}},
        {"exit": 0, "findings": [5], "collectors": [], "version": "1", "started": "s", "uptime_seconds": 1,
         "last_reload": {"successful": True, "loaded": "l"}},
    ],
)  # fmt: skip
def test_the_document_of_another_version_is_one_line_and_3(
    document: dict[str, object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(status, "fetch", lambda _path: document)
    assert main(["status", "--web.socket", str(tmp_path / "s")]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "the answer is that of another version of vitald" in said.err


def test_a_daemon_that_is_stopped_does_not_hang_it(launch: Launch, tmp_path: Path) -> None:
    path = tmp_path / "status.sock"
    daemon = launch("--web.socket", str(path)).ready()
    daemon.signal(signal.SIGSTOP)
    with pytest.raises(status.StatusUnavailable, match="no answer within"):
        status.fetch(path, timeout=0.5)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 500 x\r\n\r\n",
    ],
)
def test_another_server_on_the_socket_is_one_line_and_3(tmp_path: Path, answer: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s"

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            client, _ = server.accept()
            client.recv(4096)
            client.sendall(answer)
            client.close()

        thread = Thread(target=serve)
        thread.start()
        assert main(["status", "--web.socket", str(path)]) == 3
        thread.join()
    output = capsys.readouterr()
    assert (output.out, len(output.err.splitlines())) == ("", 1)

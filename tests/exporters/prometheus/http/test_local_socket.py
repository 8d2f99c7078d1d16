"""The local socket: who may connect, what is served without TLS and passwords, stale and live sockets, and the server's limits on it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from collectors.model import BadInput, InUse
from exporters.prometheus.http.connection_table import MAX_CONNECTIONS
from exporters.prometheus.http.local_socket import LocalSocket

if TYPE_CHECKING:
    from collections.abc import Callable


HASH = "$2y$04$aAMcO0dTmDdTL7jH4ajaROJkGzQRp8Yf3TYFWyFDbAvAYBFOGZ6eS"  # of no password that is known


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vitald.sock"


def ask(path: Path, target: str = "/-/status", *, version: str = "1.0") -> tuple[int, bytes]:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.settimeout(20)
        client.sendall(f"GET {target} HTTP/{version}\r\nHost: local\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def test_it_serves_every_page_and_the_document(serve: Any, path: Path) -> None:
    serve(local_socket=path, document=lambda: {"exit": 0, "evil": "\udcff\u2028"})
    status, body = ask(path)
    assert (status, json.loads(body)) == (200, {"exit": 0, "evil": "\udcff\u2028"})
    assert ask(path, "/metrics")[0] == ask(path, "/")[0] == ask(path, "/-/healthy")[0] == 200
    assert ask(path, "/nothing")[0] == 404


def test_only_the_user_and_the_group_may_connect(serve: Any, path: Path) -> None:
    before = os.umask(0)
    try:
        serve(local_socket=path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


@pytest.mark.root
def test_another_user_is_refused_and_a_member_of_the_group_is_not(serve: Any) -> None:
    folder = Path(tempfile.mkdtemp(prefix="vitald-socket-"))  # pytest's own folders are for its user only
    folder.chmod(0o755)
    path = folder / "vitald.sock"
    serve(local_socket=path)
    os.chown(path, 0, 4321)
    code = f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})"
    python = shutil.which("python3", path="/usr/bin") or sys.executable
    denied = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", python, "-c", code], capture_output=True, check=False
    )
    assert b"PermissionError" in denied.stderr
    member = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--groups=4321", python, "-c", code], capture_output=True, check=False
    )
    assert (member.returncode, member.stderr) == (0, b"")
    shutil.rmtree(folder)


def test_neither_tls_nor_passwords_of_the_web_config_apply(serve: Any, path: Path, tmp_path: Path) -> None:
    config = tmp_path / "web.yml"
    config.write_text(f"basic_auth_users: {{ops: {HASH}}}\n")
    exporter = serve(local_socket=path, web_config=config)
    assert ask(path)[0] == 200
    host, _, port = exporter.addresses[0].rpartition(":")
    with socket.create_connection((host, int(port)), 20) as client:
        client.sendall(b"GET /-/status HTTP/1.0\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 401")


def test_the_socket_of_a_process_that_was_killed_is_replaced(serve: Any, path: Path) -> None:
    code = f"import os, socket; s = socket.socket(socket.AF_UNIX); s.bind({str(path)!r}); s.listen(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], check=False)
    assert path.exists()
    serve(local_socket=path)
    assert ask(path)[0] == 200


def test_a_live_socket_is_refused_also_with_a_full_backlog(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as waiting:
        other.bind(str(path))
        other.listen(0)
        with pytest.raises(InUse, match="another process listens"):
            LocalSocket(path)
        waiting.settimeout(0)
        with pytest.raises(BlockingIOError):
            waiting.connect(str(path))
        with pytest.raises(InUse, match="another process listens"):
            LocalSocket(path)
    assert path.exists()


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text("precious"),
        lambda path: path.mkdir(),
        os.mkfifo,
        lambda path: path.symlink_to("/etc/passwd"),
    ],
)
def test_what_is_no_socket_is_left_alone(path: Path, make: Callable[[Path], Any]) -> None:
    make(path)
    with pytest.raises(BadInput, match="no socket is in the way"):
        LocalSocket(path)
    assert path.exists()


@pytest.mark.parametrize(("name", "reason"), [("none/x.sock", "No such directory"), ("x" * 120, "longer than 107 bytes")])
def test_a_path_that_cannot_be_bound_is_one_line(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason) as raised:
        LocalSocket(tmp_path / name)
    assert len(str(raised.value).splitlines()) == 1


def test_closing_removes_its_own_file_only(path: Path, tmp_path: Path) -> None:
    first = LocalSocket(path)
    path.unlink()
    second = LocalSocket(path)
    first.close()
    first.listener.close()
    assert path.exists(), "the file is the second one's"
    second.close()
    second.listener.close()
    assert not path.exists()
    assert list(tmp_path.iterdir()) == []


def test_idle_clients_of_the_socket_do_not_lock_others_out(serve: Any, path: Path) -> None:
    serve(local_socket=path)
    threads = threading.active_count()  # other tests of this process may have left some
    clients = []
    for _ in range(MAX_CONNECTIONS + 20):
        clients.append(socket.socket(socket.AF_UNIX))
        clients[-1].connect(str(path))  # blocks while the backlog is full
    assert ask(path)[0] == 200
    assert threading.active_count() <= threads
    for client in clients:
        client.close()

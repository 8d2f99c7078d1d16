import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        name = str(tmp_path / "notify") if request.param == "path" else f"@vitald-test-{os.getpid()}"
        channel.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        channel.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        monkeypatch.setenv("WATCHDOG_USEC", "30000000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        yield channel


def test_each_notification_is_sent(manager: socket.socket) -> None:
    notifier = Notifier()
    assert notifier.watchdog_seconds == 30
    notifier.send("READY=1")
    assert manager.recv(1000) == b"READY=1"
    notifier.watchdog()
    assert manager.recv(1000) == b"WATCHDOG=1"
    notifier.send("STOPPING=1")
    assert manager.recv(1000) == b"STOPPING=1"
    notifier.status("healthy")
    assert manager.recv(1000) == b"STATUS=healthy"
    notifier.reloading()
    assert manager.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")


def test_an_unchanged_status_is_sent_once(manager: socket.socket) -> None:
    notifier = Notifier()
    notifier.status("healthy")
    notifier.status("healthy")
    notifier.status("1 critical")
    assert [manager.recv(1000), manager.recv(1000)] == [b"STATUS=healthy", b"STATUS=1 critical"]


def test_children_do_not_inherit_the_notification_socket(manager: socket.socket) -> None:
    Notifier()
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & set(os.environ)
    manager.close()


def test_a_watchdog_for_another_process_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert Notifier().watchdog_seconds == 0


def test_without_systemd_nothing_is_sent_and_nothing_fails() -> None:
    Notifier().send("READY=1")


def test_a_socket_that_is_gone_or_full_stops_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    Notifier().send("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "full"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "full"))
        notifier = Notifier()
        for number in range(5000):  # far beyond net.unix.max_dgram_qlen
            notifier.status(str(number))


@pytest.mark.fault(167)
def test_what_could_not_be_sent_is_sent_in_order_with_the_next_ping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manager that is not there for a moment, as while systemd re-executes itself."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    notifier = Notifier()
    notifier.reloading()
    notifier.send("READY=1")
    notifier.watchdog()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        notifier.watchdog()
        assert manager.recv(1000).startswith(b"RELOADING=1")
        assert [manager.recv(1000), manager.recv(1000)] == [b"READY=1", b"WATCHDOG=1"]

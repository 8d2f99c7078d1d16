"""Fixtures of the daemon's tests."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.daemon.runs import Daemon
from tests.kit.running import Vitald

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from daemon.job import CollectorJob
    from tests.kit.running import Launch


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    started: list[Daemon] = []

    def make(*jobs: CollectorJob) -> Daemon:
        started.append(Daemon(*jobs))
        return started[-1]

    yield make
    for daemon in started:
        daemon.runner.stop()
    for fifo in tmp_path.glob("fifo"):
        os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))  # ends pending reads: the interpreter joins its threads


@pytest.fixture
def up() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def signature_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))  # compiled once for all tests


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    running: list[Vitald] = []

    def make(*flags: str, **popen: Any) -> Vitald:
        folder = tmp_path / str(len(running))
        folder.mkdir()
        running.append(Vitald(folder, *flags, **popen))
        return running[-1]

    yield make
    for daemon in running:
        daemon.__exit__()

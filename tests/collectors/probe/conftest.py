from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.kit.probe_lab import Lab, link

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with link(tmp_path) as two:
        yield two


@pytest.fixture
def up() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def up_everywhere() -> Iterator[str]:
    """Listen on every address of loopback: each 127.x.y.z is a host of its own."""
    with socket.create_server(("0.0.0.0", 0), backlog=1024) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"

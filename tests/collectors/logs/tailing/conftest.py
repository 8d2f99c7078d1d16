from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.collectors.logs.tailing.followed_file import FollowedFile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def followed(tmp_path: Path) -> FollowedFile:
    path = tmp_path / "syslog"
    path.touch()
    followed = FollowedFile(path)
    followed.poll()
    return followed

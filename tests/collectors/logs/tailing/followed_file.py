"""A followed file, with the lines read from it and the losses counted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from collectors.logs.state import FollowerState
from collectors.logs.tailing.follower import GRACE, Follower

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class FollowedFile:
    """A follower on a real file, with the lines it read and the losses it counted."""

    def __init__(self, path: Path, *, backlog: bool = False) -> None:
        self.path = path
        self.lines: list[bytes] = []
        self.lost: Counter[str] = Counter()
        self.now = 0.0
        self.follower = Follower(str(path), self._on_loss, backlog=backlog)

    def _on_loss(self, reason: str) -> None:
        self.lost[reason] += 1

    def poll(self, seconds: float = 1.0) -> None:
        self.now += seconds
        self.follower.refresh(self.now)
        for block in (*self.follower.read(1000), *self.follower.read_finished()):
            self.lines += block.split(b"\n")[:-1]

    def restart(self) -> None:
        """Stop, and start again from what was saved, through JSON as the state file does it."""
        saved = msgspec.json.decode(msgspec.json.encode(self.follower.state()), type=FollowerState)
        self.follower.close()
        self.follower = Follower(str(self.path), self._on_loss, saved)

    def change_while_stopped(self, change: Callable[[], None]) -> None:
        saved = self.follower.state()
        self.follower.close()
        change()
        self.follower = Follower(str(self.path), self._on_loss, saved)
        self.settle()

    def settle(self) -> None:
        self.poll()
        self.poll(GRACE + 1)
        self.poll()


def append(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


def numbered(start: int, stop: int) -> list[bytes]:
    return [b"line %d" % number for number in range(start, stop)]


def written(start: int, stop: int) -> bytes:
    return b"".join(line + b"\n" for line in numbered(start, stop))

"""A followed file, and all that came of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from collectors.logs.state import FollowerState
from collectors.logs.tailing.follower import GRACE, Follower

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Watch:
    """A follower on a real file, with what it read and what it lost."""

    def __init__(self, path: Path, *, history: bool = False) -> None:
        self.path = path
        self.lines: list[bytes] = []
        self.lost: Counter[str] = Counter()
        self.now = 0.0
        self.follower = Follower(str(path), self._lose, history=history)

    def _lose(self, reason: str) -> None:
        self.lost[reason] += 1

    def look(self, seconds: float = 1.0) -> None:
        self.now += seconds
        self.follower.look(self.now)
        for block in (*self.follower.read(1000), *self.follower.last_words()):
            self.lines += block.split(b"\n")[:-1]

    def restart(self) -> None:
        """Stop, and start again from what was saved, through JSON as the state file does it."""
        saved = msgspec.json.decode(msgspec.json.encode(self.follower.save()), type=FollowerState)
        self.follower.close()
        self.follower = Follower(str(self.path), self._lose, saved)

    def settle(self) -> None:
        self.look()
        self.look(GRACE + 1)
        self.look()


def append(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


def numbered(start: int, stop: int) -> list[bytes]:
    return [b"line %d" % number for number in range(start, stop)]


def written(start: int, stop: int) -> bytes:
    return b"".join(line + b"\n" for line in numbered(start, stop))


def while_stopped(watch: Watch, change: Callable[[], None]) -> None:
    saved = watch.follower.save()
    watch.follower.close()
    change()
    watch.follower = Follower(str(watch.path), watch._lose, saved)
    watch.settle()

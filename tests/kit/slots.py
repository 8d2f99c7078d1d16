"""A collector's place in the state directory, without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from collectors.state import decode, encode
from daemon.state_store import StateStore

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


class Kept:
    """A slot that keeps what it is given as the state directory does, in `data`; `full` is a disk that takes nothing."""

    def __init__(self, data: bytes | None = None) -> None:
        self.data = data
        self.full = False
        self.dropped = 0

    @classmethod
    def of(cls, value: Any) -> Kept:
        """Return a slot in which `value`, of any shape, was saved."""
        return cls(encode(value))

    def load(self, schema: type[T]) -> T:
        if self.data is None:
            return schema()
        try:
            decoded = decode(self.data, schema)
        except ValueError:
            self.dropped += 1
            return schema()
        self.dropped += decoded.dropped
        return decoded.value

    def reject(self, count: int, _reason: str) -> None:
        self.dropped += count

    def save(self, value: Any, seconds: float = 0.0) -> bool:  # noqa: ARG002
        if not self.full:
            self.data = encode(value)
        return not self.full


def opened(folder: Path, *names: str) -> StateStore:
    """Return the state of a directory, opened as the daemon does."""
    store = StateStore(folder, names or ("health", "logs", "nic"))
    store.finish_opening(60)
    return store

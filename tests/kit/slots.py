"""A collector's place in the state directory, without one."""

from __future__ import annotations

from typing import Any, TypeVar

from collectors.state import decode, encode

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

    def save(self, value: Any) -> bool:
        if not self.full:
            self.data = encode(value)
        return not self.full

"""A collector's place in the state directory, without one."""

from __future__ import annotations

import json
from typing import Any


class Kept:
    """A slot that keeps what it is given as JSON, as the state directory does; `full` is a disk that takes nothing."""

    def __init__(self, text: str = "null") -> None:
        self.text = text
        self.full = False

    def load(self) -> Any:
        return json.loads(self.text)

    def save(self, value: Any) -> bool:
        if not self.full:
            self.text = json.dumps(value)
        return not self.full

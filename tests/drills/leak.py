"""A leak of kernel memory that goes on until it is stopped, at megabytes per second."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from tests.kit.leaks import leaking, more

PACE = 2  # MB a second
SETTINGS = (
    '[memory]\nmax_extrapolation = 1000.0\ncritical_within = "4h"\n'  # this machine has room for many times what leaks in five minutes
)
SHORTEST = 330.0  # seconds: the shortest span the trend looks at is five minutes, and a reading comes each 30 s


class Leak:
    """One program that leaks."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._over = threading.Event()

    def start(self, kind: str) -> None:
        """Begin to leak; `kind` is one of tests/kit/leaker.py."""
        leaker = self._stack.enter_context(leaking(kind, PACE))

        def go_on() -> None:
            while not self._over.wait(1):
                more(leaker, PACE)

        feeder = threading.Thread(target=go_on, daemon=True)
        feeder.start()
        self._stack.callback(feeder.join)
        self._stack.callback(self._over.set)

    def stop(self) -> None:
        """End the program; the kernel takes all of it back."""
        self._stack.close()

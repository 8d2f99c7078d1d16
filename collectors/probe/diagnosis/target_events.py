"""What one prober leaves for the collector of path MTUs: whom it probes, where they are, and who has just turned bad.

Both run in threads of their own; `[probe]` may be replaced on reload, so the newest word counts.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.probe.targets.target import Address

MOST_ALARMS = 16  # targets at once: an outage of hundreds needs no more samples
QUIET = 60.0  # seconds between two alarms of one target


class Roster:
    """The targets of the newest sweep, and the alarms nobody has taken yet."""

    def __init__(self) -> None:
        self._known = threading.Condition()
        self._targets: Mapping[str, Address] | None = None
        self._alarms: dict[str, None] = {}
        self._rung: dict[str, float] = {}
        self._bell: int | None = None

    def publish(self, targets: Mapping[str, Address]) -> None:
        """Set the targets that have an address, by their text."""
        with self._known:
            self._targets = targets
            self._rung = {target: at for target, at in self._rung.items() if target in targets}
            self._known.notify_all()

    def targets(self, patience: float) -> Mapping[str, Address] | None:
        """Give the targets; waits at most `patience` seconds for the first sweep, None if there was none."""
        with self._known:
            self._known.wait_for(lambda: self._targets is not None, patience)
            return self._targets

    def turned_bad(self, target: str) -> None:
        """Ring, unless this target has rung a moment ago or enough others do."""
        now = time.monotonic()
        with self._known:
            if len(self._alarms) >= MOST_ALARMS or now - self._rung.get(target, -QUIET) < QUIET:
                return
            self._rung[target], self._alarms[target] = now, None
            if self._bell is not None:
                os.eventfd_write(self._bell, 1)

    def bell(self) -> int:
        """Give a descriptor that is readable while there are alarms."""
        with self._known:
            if self._bell is None:
                self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            return self._bell

    def take_alarms(self) -> tuple[str, ...]:
        """Give the targets that turned bad since this was asked last."""
        with self._known:
            taken, self._alarms = tuple(self._alarms), {}
            if self._bell is not None:
                with suppress(BlockingIOError):
                    os.eventfd_read(self._bell)
            return taken


ROSTER = Roster()

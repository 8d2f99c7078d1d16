"""What the packet child says, line by line, as far as it can be trusted to say anything."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections import deque

LONGEST_LINE = 4096


class Distrusted(Exception):  # noqa: N818 — what it says is the reason of a failure, no error of its own
    """The child did not do what it is for: it was killed, hung, or said nonsense."""


class Lines:
    """The child's lines, one by one: Distrusted at its end, at the deadline (monotonic), and for a line that does not end."""

    def __init__(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        assert process.stdout is not None  # noqa: S101 — for mypy
        self.deadline = deadline
        self._process, self._descriptor = process, process.stdout.fileno()
        self._lines: deque[bytes] = deque()
        self._rest = b""

    def next(self) -> bytes:
        """Give the next line."""
        while not self._lines:
            *lines, self._rest = (self._rest + self._more()).split(b"\n")
            self._lines.extend(lines)
            if len(self._rest) > LONGEST_LINE:
                raise Distrusted(f"said a line of more than {LONGEST_LINE} bytes")
        return self._lines.popleft()

    def _more(self) -> bytes:
        left = self.deadline - time.monotonic()
        if left <= 0 or not select.select([self._descriptor], [], [], left)[0]:
            raise Distrusted("did not answer in time")
        data = os.read(self._descriptor, 65536)
        if not data:
            raise Distrusted(death(self._process))
        return data


def death(process: subprocess.Popen[bytes]) -> str:
    """Say how it ended."""
    try:
        code = process.wait(1)
    except subprocess.TimeoutExpired:
        return "closed its end"
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with status {code} before it had answered"

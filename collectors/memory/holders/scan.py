"""Client of the holder scan: start the helper, collect its answer at a later tick, and kill it at its deadline."""

from __future__ import annotations

import json
import os
import subprocess
from typing import IO, TYPE_CHECKING

from collectors.helper_process import MAX_ANSWER, HelperFailed, HelperProcess, module_command

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.memory.reading import Holders

INTERVAL = 300.0  # seconds between the starts of two scans, at least
TIMEOUT = 280.0  # seconds; at the lowest priority of a busy host a second of work can take minutes


class HolderScan:
    """At most one scan at a time, and two starts at least five minutes apart. Times are the caller's clock, in seconds.

    `error` is why the newest scan has no answer, else empty.
    """

    def __init__(self, proc: Path, *, hurry: bool = False, recorded: bool = False) -> None:
        """`hurry` is for `vitald check`, where a person waits: the helper keeps its priority. `recorded`: `proc` is another host's."""
        words = [word for word, wanted in (("hurry", hurry), ("recorded", recorded)) if wanted]
        self._helper = HelperProcess([*module_command("collectors.memory.holders.helper"), str(proc), *words])
        self._process: subprocess.Popen[bytes] | None = None
        self._answer: IO[bytes] | None = None
        self._started = float("-inf")
        self.error = ""

    def start(self, now: float) -> bool:
        """Start a scan, unless one is running or was started less than five minutes ago."""
        if self._process is not None or now - self._started < INTERVAL:
            return False
        self._started = now
        try:
            self._answer = os.fdopen(os.memfd_create("vitald-holders", os.MFD_CLOEXEC), "r+b")  # a pipe could fill, a file needs a disk
            self._process = self._helper.start(stdout=self._answer.fileno())
        except (HelperFailed, OSError) as error:  # no memory and no processes left: just when a leak is at its end
            self.error = f"holder scan failed: {error}"
            self._end()
            return False
        return True

    def poll(self, now: float) -> Holders | None:
        """Return the answer of the running scan, once, when it has ended."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            if now - self._started > TIMEOUT:
                self._fail(f"no answer within {TIMEOUT:.0f} s")
            return None
        return self._collect(self._process.returncode)

    def wait(self, seconds: float) -> Holders | None:
        """Wait for the answer of the running scan."""
        if self._process is None:
            return None
        try:
            return self._collect(self._process.wait(seconds))
        except subprocess.TimeoutExpired:
            self._fail(f"no answer within {seconds:.0f} s")
            return None

    def close(self) -> None:
        """Kill the running scan, if any, and start no other."""
        self._helper.stop()
        self._end()

    def _end(self) -> None:
        self._process = None
        self._helper.end()
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.close()

    def _fail(self, reason: str) -> None:
        self.error = f"holder scan failed: {reason}"
        self._end()

    def _collect(self, status: int) -> Holders | None:
        if self._answer is None or status != 0:
            self._fail(f"status {status}")
            return None
        try:
            self._answer.seek(0)
            found: Holders = json.loads(self._answer.read(MAX_ANSWER))
        except (ValueError, RecursionError, OSError) as error:
            self._fail(f"invalid answer: {error}")
            return None
        self.error = ""
        self._end()
        return found

"""Runs the look for holders beside the daemon: starts it, fetches its answer at a later tick, and ends it when it takes too long."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

APART = 300.0  # seconds between two looks, at least
PATIENCE = 280.0  # seconds; at the lowest priority of a busy host a second of work can take minutes
LARGEST = 1 << 20  # bytes of an answer

Found = dict[str, Any]


class Blame:
    """At most one look at a time, and never two within five minutes. Times are the caller's clock, in seconds."""

    def __init__(self, proc: Path, *, hurry: bool = False) -> None:
        """`hurry` is for `vitald check`: a person waits, so it keeps that person's priority."""
        self._command = [sys.executable, "-Im", "collectors.memory.holders.helper", str(proc), *(["hurry"] if hurry else [])]
        self._child: subprocess.Popen[bytes] | None = None
        self._answer: IO[bytes] | None = None
        self._begun = float("-inf")
        self.problem = ""

    def start(self, now: float) -> bool:
        """Begin a look, unless one is out or was begun less than five minutes ago."""
        if self._child is not None or now - self._begun < APART:
            return False
        self._begun = now
        answer = None
        try:
            answer = os.fdopen(os.memfd_create("vitald-holders", os.MFD_CLOEXEC), "r+b")  # a pipe could fill, a file wants a disk
            self._child = subprocess.Popen(  # noqa: S603 — our own program, no shell
                self._command, stdin=subprocess.DEVNULL, stdout=answer, stderr=subprocess.DEVNULL, close_fds=True
            )
        except OSError as error:  # no memory and no processes left: just when a leak is at its end
            if answer is not None:
                answer.close()
            self.problem = f"the look for holders could not start: {error.strerror}"
            return False
        self._answer = answer
        return True

    def poll(self, now: float) -> Found | None:
        """Give the answer of the look that is out, once, when it is there."""
        if self._child is None:
            return None
        if self._child.poll() is None:
            if now - self._begun > PATIENCE:
                self.problem = f"the look for holders did not end within {PATIENCE:.0f} s"
                self.close()
            return None
        return self._fetch()

    def wait(self, seconds: float) -> Found | None:
        """Wait for the answer; for `vitald check`, where a person waits too."""
        if self._child is None:
            return None
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.problem = f"the look for holders did not end within {seconds:.0f} s"
            self.close()
            return None
        return self._fetch()

    def close(self) -> None:
        """End the look that is out, if one is."""
        child, self._child = self._child, None
        if child is not None:
            with contextlib.suppress(OSError):
                child.kill()
            child.wait()
        self._drop()

    def _fetch(self) -> Found | None:
        child, self._child = self._child, None
        try:
            if self._answer is None or child is None or child.returncode != 0:
                self.problem = f"the look for holders failed (status {child.returncode if child else '?'})"
                return None
            self._answer.seek(0)
            found: Found = json.loads(self._answer.read(LARGEST))
        except (ValueError, OSError) as error:
            self.problem = f"the look for holders said nothing of use: {error}"
            return None
        finally:
            self._drop()
        self.problem = ""
        return found

    def _drop(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.close()

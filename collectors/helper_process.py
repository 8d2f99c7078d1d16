"""Helper process: a program of vitald's own that is asked one question, answers once, has a deadline, and is never trusted.

For libraries and work whose memory must not stay in the daemon: what a process took, it gives back when it ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

MAX_ANSWER = 1 << 20  # bytes


def module_command(module: str) -> tuple[str, ...]:
    """Return the command that runs a module of vitald as a program, without the user's environment (`python -I`)."""
    return (sys.executable, "-Im", module)


class HelperFailed(Exception):  # noqa: N818 — the reason why there is no answer
    """The helper could not be started, was killed, did not answer in time, or answered too much; the text says which."""


class HelperNotStarted(HelperFailed):
    """No process, no memory, or no interpreter any more."""


class HelperStopped(HelperFailed):
    """`stop()` was called: there will be no more answers."""


class HelperProcess:
    """One helper program, run once per question and never twice at a time. `stop()` may be called from any thread.

    `command` is run with an almost empty environment. `lend` is entered while it is started: a capability that only the helper needs.
    `on_start` gets its process ID.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        lend: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
        on_start: Callable[[int], None] = lambda _pid: None,
    ) -> None:
        self._command = command
        self._lend = lend
        self._on_start = on_start
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self.stopped = False

    def start(self, *arguments: str, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
        """Start the program with these streams (as for Popen). Raises HelperFailed."""
        environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        with self._lock:
            if self.stopped:
                raise HelperStopped("stopped")
            try:
                with self._lend():
                    self._process = subprocess.Popen(  # noqa: S603 — our own program, no shell
                        [*self._command, *arguments],
                        stdin=stdin,
                        stdout=stdout,
                        stderr=subprocess.DEVNULL,
                        cwd="/",
                        env=environment,
                        bufsize=0,
                    )
            except OSError as error:
                raise HelperNotStarted(f"could not be started: {error.strerror or error}") from None
            self._on_start(self._process.pid)
            return self._process

    def ask(self, *arguments: str, question: bytes = b"", seconds: float, max_answer: int = MAX_ANSWER) -> bytes:
        """Start the program, write `question` to its stdin, which it reads to its end, and return all it writes to stdout.

        Raises HelperFailed after `seconds`, for an answer of more than `max_answer` bytes, and for one of no byte.
        """
        deadline = time.monotonic() + seconds
        process = self.start(*arguments, stdin=subprocess.PIPE)
        try:
            assert process.stdin is not None  # noqa: S101 — for mypy
            with contextlib.suppress(BrokenPipeError):  # its exit status says what it died of
                unsent = memoryview(question)
                while unsent:
                    unsent = unsent[process.stdin.write(unsent) :]
                process.stdin.close()
            if not (answer := read_all(process, deadline, max_answer)):
                raise HelperFailed(exit_reason(process))
            return answer
        finally:
            self.end()

    def end(self) -> None:
        """Kill the running program, if any, and release its pipes."""
        with self._lock:
            process, self._process = self._process, None
            if process is not None:
                process.kill()
        if process is not None:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def stop(self) -> None:
        """Kill the running program and start no other; does not wait."""
        self.stopped = True
        with self._lock:
            if self._process is not None:
                self._process.kill()


def read_all(process: subprocess.Popen[bytes], deadline: float, max_bytes: int) -> bytes:
    """Read stdout to its end. Raises HelperFailed at `deadline` (monotonic seconds) and beyond `max_bytes`."""
    answer = bytearray()
    while data := read_some(process, deadline):
        answer += data
        if len(answer) > max_bytes:
            raise HelperFailed(f"answered with more than {max_bytes >> 10} KiB")
    return bytes(answer)


def read_some(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Read what stdout has next, nothing at its end. Raises HelperFailed at `deadline` (monotonic seconds)."""
    assert process.stdout is not None  # noqa: S101 — for mypy
    left = deadline - time.monotonic()
    if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
        raise HelperFailed("did not answer in time")
    return os.read(process.stdout.fileno(), 1 << 16)


def exit_reason(process: subprocess.Popen[bytes]) -> str:
    """Return how the program ended, for a message."""
    try:
        status = process.wait(1)
    except subprocess.TimeoutExpired:
        return "closed its output without an answer"
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status} without an answer"

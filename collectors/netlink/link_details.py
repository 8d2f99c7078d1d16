"""The link child, as its parent sees it: started for one question, never believed, never waited for beyond the time it was given."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time

import msgspec

from collectors.netlink.link_details_messages import Answer, Question

SECONDS = 10.0  # pyroute2's import takes 0.2 s of CPU; under CPUQuota=50% and on a busy host a good deal longer
LARGEST = 1 << 20  # bytes of an answer: 256 links are some 100 KB
COMMAND = (sys.executable, "-Im", "collectors.netlink.link_details_helper")

_answer = msgspec.json.Decoder(Answer)


class NoAnswer(Exception):  # noqa: N818 — the reason why there is none, no error of its own
    """The child could not be started, died, hung, or said nonsense; the text says which."""


class LinkChild:
    """Asks one question at a time, each in a child process of its own. `stop()` may come from another thread."""

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        self._command = command
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def ask(self, question: Question, seconds: float = SECONDS) -> Answer:
        """Give its answer within `seconds`; NoAnswer."""
        try:
            process = self._start()
        except OSError as error:  # no memory, no process to be had, no interpreter any more
            raise NoAnswer(f"the link child could not be started: {error.strerror}") from None
        try:
            with process:
                try:
                    said = _talk(process, msgspec.json.encode(question), time.monotonic() + seconds)
                finally:
                    with self._lock:
                        self._process = None
                        process.kill()  # it has nothing left to say, or was not to be trusted
            return _answer.decode(said)
        except msgspec.DecodeError:
            code = process.returncode
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 and not said else f"said what is no answer, status {code}"
            raise NoAnswer(f"the link child {how}") from None

    def stop(self) -> None:
        """End the question that is out, and ask no other."""
        self._stopped = True
        with self._lock:
            if self._process:
                self._process.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        with self._lock:
            if self._stopped:
                raise NoAnswer("stopped")
            pipe, null = subprocess.PIPE, subprocess.DEVNULL
            self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, stderr=null, cwd="/", env=environment, bufsize=0)  # noqa: S603
            return self._process


def _talk(process: subprocess.Popen[bytes], question: bytes, deadline: float) -> bytes:
    """Put the question (less than a pipe holds) and read to the end of the answer."""
    assert process.stdin is not None  # noqa: S101 — for mypy
    assert process.stdout is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError):  # what it died of, its status says
        process.stdin.write(question)
        process.stdin.close()
    said = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
            raise NoAnswer("the link child did not answer in time")
        data = os.read(process.stdout.fileno(), 1 << 16)
        if not data:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)  # it has closed its end: how it ended is known in a moment
            return bytes(said)
        said += data
        if len(said) > LARGEST:
            raise NoAnswer(f"the link child said more than {LARGEST >> 20} MiB")

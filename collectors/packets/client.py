"""The packet child, as its parent sees it: started for one round, fed, listened to, never believed, never waited for."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec

from collectors.model import Unavailable
from collectors.packets import capability
from collectors.packets.child_lines import Distrusted, Lines, death
from collectors.packets.protocol import MOST_PACKETS, Answer, Hello

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collectors.packets.protocol import Place, Play, Shot

T = TypeVar("T")
AT_ONCE = 64  # plays under way; each holds one port and one descriptor of the child
START_SECONDS = 15.0  # scapy's import takes 0.2 s of CPU; under CPUQuota=50% and on a busy host a good deal longer
COMMAND = (sys.executable, "-Im", "collectors.packets.scapy_helper")

log = logging.getLogger(__name__)
_answer = msgspec.json.Decoder(Answer)
_hello = msgspec.json.Decoder(Hello)


class Results(NamedTuple, Generic[T]):
    """What the plays that came to an end found, by their key, and why the others did not; empty if all did."""

    found: dict[str, T]
    failure: str


class PacketChild:
    """Runs rounds of plays, one round at a time, each in a child process of its own."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, plays: Mapping[str, tuple[Place, Play[T]]], seconds: float, rate: float = MOST_PACKETS) -> Results[T]:
        """Play all of them, within `seconds` once the child is up; Unavailable where it lacks CAP_NET_RAW or scapy."""
        if not plays:
            return Results({}, "")
        if not capability.at_hand():
            raise Unavailable("permission", "crafted packets need CAP_NET_RAW, which this process does not have")
        try:
            process = self._start(rate, seconds)
        except OSError as error:  # no memory, no process to be had, no interpreter any more
            return Results({}, f"the packet child could not be started: {error}")
        table: _Table[T] = _Table(process, plays)
        try:
            lines = Lines(process, time.monotonic() + START_SECONDS)
            table.greet(lines)
            lines.deadline = time.monotonic() + seconds
            table.play(lines)
        except Distrusted as why:
            return Results(table.found, "" if self._stopped else f"the packet child {why}")
        finally:
            self._end(process)
        return Results(table.found, "")

    def stop(self) -> None:
        """End the round that is out, and start no other."""
        self._stopped = True
        with self._lock:
            if self._process:
                self._process.kill()

    def _start(self, rate: float, seconds: float) -> subprocess.Popen[bytes]:
        argv = [*self._command, f"{rate:g}", f"{seconds + START_SECONDS:g}"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        with self._lock:
            if self._stopped:
                raise Unavailable("unconfigured", "stopped")
            with capability.lent():
                self._process = subprocess.Popen(argv, **pipes, cwd="/", env=environment, bufsize=0)  # type: ignore[call-overload]  # noqa: S603
            return self._process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._process = None
            process.kill()  # it has nothing left to say, or was not to be trusted
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


class _Table(Generic[T]):
    """The plays of one round: those that wait, those with a shot out, and what came of the rest."""

    def __init__(self, process: subprocess.Popen[bytes], plays: Mapping[str, tuple[Place, Play[T]]]) -> None:
        self.found: dict[str, T] = {}
        self._process = process
        self._waiting = deque(plays.items())
        self._out: dict[int, tuple[str, Place, Play[T], int]] = {}  # by shot: also the number of its play
        self._shots = self._plays = 0

    def greet(self, lines: Lines) -> None:
        """Wait until the child is up."""
        with _as_nonsense():
            hello = _hello.decode(lines.next())
        if hello.fatal in {errno.EPERM, errno.EACCES}:
            raise Unavailable("permission", f"crafted packets need CAP_NET_RAW ({hello.detail})")
        if not hello.ready:
            raise Distrusted(f"could not work: {hello.detail or 'it is not ready'}")

    def play(self, lines: Lines) -> None:
        """Go on until every play has ended."""
        self._begin()
        while self._out:
            with _as_nonsense():
                answer = _answer.decode(lines.next())
            known = self._out.pop(answer.id, None)
            if known is None:
                raise Distrusted(f"answered shot {answer.id}, which is not out")
            self._advance(*known, answer)
            self._begin()

    def _begin(self) -> None:
        while self._waiting and len(self._out) < AT_ONCE:
            key, (place, play) = self._waiting.popleft()
            self._plays += 1
            self._advance(key, place, play, self._plays, None)

    def _advance(self, key: str, place: Place, play: Play[T], number: int, answer: Answer | None) -> None:
        try:
            shot = next(play) if answer is None else play.send(answer)
        except StopIteration as end:
            self.found[key] = end.value
            return
        self._shots += 1
        self._out[self._shots] = (key, place, play, number)
        self._tell(place, shot, number)

    def _tell(self, place: Place, shot: Shot, number: int) -> None:
        order = {"id": self._shots, **shot._asdict(), "source": place.source, "target": place.target, "port": place.port, "mss": place.mss}
        order["flow"] = number << 16 | shot.flow
        assert self._process.stdin is not None  # noqa: S101 — for mypy
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
        except OSError:
            raise Distrusted(death(self._process)) from None


@contextlib.contextmanager
def _as_nonsense() -> Any:  # noqa: ANN401 — a context manager
    try:
        yield
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Distrusted(f"said what is no answer: {error}") from None

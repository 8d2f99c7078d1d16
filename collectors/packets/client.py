"""Client of the scapy helper: runs rounds of probe scripts, each round in a helper process of its own."""

from __future__ import annotations

import contextlib
import errno
import json
import subprocess
import time
from collections import deque
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import msgspec

from collectors.helper_process import HelperFailed, HelperProcess, HelperStopped, exit_reason, module_command, read_some
from collectors.model import Unavailable
from collectors.packets import capability
from collectors.packets.protocol import MAX_PACKETS_PER_SECOND, Hello, ProbeAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.packets.protocol import Endpoint, ProbeScript, ProbeSpec

T = TypeVar("T")
MAX_ACTIVE = 64  # scripts at a time; each holds one port and one descriptor of the helper
MAX_LINE = 4096  # bytes
START_SECONDS = 15.0  # scapy's import takes 0.2 s of CPU; under CPUQuota=50% and on a busy host a good deal longer
COMMAND = module_command("collectors.packets.scapy_helper")

_answer_decoder = msgspec.json.Decoder(ProbeAnswer)
_hello_decoder = msgspec.json.Decoder(Hello)


class ProtocolError(HelperFailed):
    """The helper sent something that is not part of the protocol."""


class Results(NamedTuple, Generic[T]):
    """Results of the scripts that ended, by key, and why the others did not; `failure` is empty if all did."""

    found: dict[str, T]
    failure: str


class PacketClient:
    """Runs rounds of probe scripts, one round at a time. `stop()` may be called from another thread."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._helper = HelperProcess(command, lend=capability.lent)
        self.stop = self._helper.stop

    def run(
        self, scripts: Mapping[str, tuple[Endpoint, ProbeScript[T]]], seconds: float, rate: float = MAX_PACKETS_PER_SECOND
    ) -> Results[T]:
        """Run all scripts, within `seconds` once the helper is up. Raises Unavailable without CAP_NET_RAW or after `stop()`."""
        if not scripts:
            return Results({}, "")
        if not capability.is_available():
            raise Unavailable("permission", "crafted packets need CAP_NET_RAW, which this process does not have")
        found: dict[str, T] = {}
        try:
            process = self._helper.start(f"{rate:g}", f"{seconds + START_SECONDS:g}", stdin=subprocess.PIPE)
            _Round(process, scripts, found).run(seconds)
        except HelperStopped:
            raise Unavailable("unconfigured", "stopped") from None
        except HelperFailed as error:
            return Results(found, "" if self._helper.stopped else f"packet helper {error}")
        finally:
            self._helper.end()
        return Results(found, "")


class _Round(Generic[T]):
    """One round: the scripts that wait, and those with a probe in flight."""

    def __init__(
        self, process: subprocess.Popen[bytes], scripts: Mapping[str, tuple[Endpoint, ProbeScript[T]]], found: dict[str, T]
    ) -> None:
        self._process = process
        self._found = found
        self._waiting = deque(scripts.items())
        self._in_flight: dict[int, tuple[str, Endpoint, ProbeScript[T], int]] = {}  # by probe id: also the number of its script
        self._probes = self._scripts = 0
        self._lines: deque[bytes] = deque()
        self._partial_line = b""

    def run(self, seconds: float) -> None:
        """Wait for the helper's first line, then run until every script has ended. Raises HelperFailed."""
        self._greet(time.monotonic() + START_SECONDS)
        deadline = time.monotonic() + seconds
        self._start_waiting()
        while self._in_flight:
            with _protocol_errors():
                answer = _answer_decoder.decode(self._read_line(deadline))
            if (sent := self._in_flight.pop(answer.id, None)) is None:
                raise ProtocolError(f"answered probe {answer.id}, which is not in flight")
            self._advance(*sent, answer)
            self._start_waiting()

    def _greet(self, deadline: float) -> None:
        with _protocol_errors():
            hello = _hello_decoder.decode(self._read_line(deadline))
        if hello.fatal in {errno.EPERM, errno.EACCES}:
            raise Unavailable("permission", f"crafted packets need CAP_NET_RAW ({hello.detail})")
        if not hello.ready:
            raise HelperFailed(f"could not start: {hello.detail or 'it is not ready'}")

    def _start_waiting(self) -> None:
        while self._waiting and len(self._in_flight) < MAX_ACTIVE:
            key, (endpoint, script) = self._waiting.popleft()
            self._scripts += 1
            self._advance(key, endpoint, script, self._scripts, None)

    def _advance(self, key: str, endpoint: Endpoint, script: ProbeScript[T], number: int, answer: ProbeAnswer | None) -> None:
        try:
            spec = next(script) if answer is None else script.send(answer)
        except StopIteration as end:
            self._found[key] = end.value
            return
        self._probes += 1
        self._in_flight[self._probes] = (key, endpoint, script, number)
        self._send(endpoint, spec, number)

    def _send(self, endpoint: Endpoint, spec: ProbeSpec, number: int) -> None:
        order = {"id": self._probes, **spec._asdict(), "flow": number << 16 | spec.flow}
        order |= {"source": endpoint.source, "target": endpoint.target, "port": endpoint.port, "mss": endpoint.mss}
        assert self._process.stdin is not None  # noqa: S101 — for mypy
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
        except OSError:
            raise HelperFailed(exit_reason(self._process)) from None

    def _read_line(self, deadline: float) -> bytes:
        while not self._lines:
            if not (data := read_some(self._process, deadline)):
                raise HelperFailed(exit_reason(self._process))
            *lines, self._partial_line = (self._partial_line + data).split(b"\n")
            self._lines.extend(lines)
            if len(self._partial_line) > MAX_LINE:
                raise ProtocolError(f"sent a line of more than {MAX_LINE} bytes")
        return self._lines.popleft()


@contextlib.contextmanager
def _protocol_errors() -> Iterator[None]:
    try:
        yield
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"sent an invalid answer: {error}") from None

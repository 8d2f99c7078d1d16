"""One run of a target: what it did wrong, if anything, and inputs that are stretched to find more than linear time and memory."""

from __future__ import annotations

import gc
import resource
import signal
import time
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fuzz.target import Target

_ROOT = Path(__file__).parents[2]
_PATIENCE = 10  # times the limit, after which a run is aborted
_STRETCHED = 1 << 18  # bytes: quadratic time is obvious there


class Find(NamedTuple):
    """What is wrong: `kind` is exception, slow or memory; `place` is the innermost line of the program, by which finds are one."""

    kind: str
    place: str
    reason: str


class _Aborted(BaseException):
    """The time limit was passed many times over."""


def execute(target: Target, data: bytes, *, seconds: float | None = None) -> Find | None:
    """Run a target on one input within its limits; `seconds` replaces the limit of CPU time."""
    limit = target.seconds if seconds is None else seconds
    for _ in range(3):  # a collection of garbage or a cold cache is no property of the input
        began, memory = time.process_time(), _peak()
        try:
            with _abort_after(limit * _PATIENCE):
                target.run(data)
        except target.allowed:
            pass
        except _Aborted as error:
            return Find("slow", _place(error), f"more than {limit * _PATIENCE:.0f} s for {len(data)} bytes")
        except Exception as error:  # noqa: BLE001 — the find
            return Find("exception", _place(error), f"{type(error).__name__}: {error}"[:300])
        if (grown := _peak() - memory) > target.memory:
            return Find("memory", target.name, f"{grown >> 20} MiB more for {len(data)} bytes")
        if (took := time.process_time() - began) <= limit:
            return None
        gc.collect()
    return Find("slow", target.name, f"{took:.1f} s for {len(data)} bytes")


def stretched(data: bytes, most: int) -> Iterator[bytes]:
    """Yield longer inputs made of one: all of it repeated, each line and word of it repeated in place, single bytes repeated in place."""
    size = min(most, _STRETCHED)
    if not data or len(data) >= size:
        return
    yield _repeated(data, size)
    pieces = set(data.splitlines(keepends=True)[:8]) | set(data.split()[:8])
    for piece in sorted(pieces):
        head, _, tail = data.partition(piece)
        yield head + _repeated(piece, size - len(head) - len(tail)) + tail
        yield head + _repeated(piece, size - len(head))
    for at in range(0, len(data), max(1, len(data) // 6)):
        byte = data[at : at + 1]
        yield data[:at] + byte * (size - len(data)) + data[at:]


def _repeated(piece: bytes, size: int) -> bytes:
    return (piece * (max(size, 0) // len(piece) + 1))[: max(size, 0)]


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(str(_ROOT)) and "/.venv/" not in frame.filename]
    frame = own[-1] if own else frames[-1]
    return f"{Path(frame.filename).relative_to(_ROOT) if own else frame.filename}:{frame.lineno}"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def _abort_after(seconds: float) -> Iterator[None]:
    def abort(_signal: int, _frame: object) -> None:
        raise _Aborted

    before = signal.signal(signal.SIGVTALRM, abort)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)  # CPU time: a busy machine aborts nothing
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)

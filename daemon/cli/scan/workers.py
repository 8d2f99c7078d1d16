"""Processes that look through parts of old logs at the same time: hyperscan holds Python's lock, so threads would take turns."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from collectors.logs.scan.parts import Found, Part, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

    from collectors.logs.matching.matcher import Matcher

MOST = 8  # processes
_TELL = 4 << 20  # bytes between two words of progress
_fork = multiprocessing.get_context("fork")  # the packs are loaded once, and shared


def start(parts: Sequence[Part], matcher: Matcher, processes: int) -> Callable[[Callable[[int], None]], Iterator[tuple[Part, Found]]]:
    """Start processes for all parts; call this before there are threads, since it forks. With one process, it is this one.

    Gives what is to be called with `progress`: the parts in their order, with what they hold.
    """
    if processes < 2 or len(parts) < 2:  # noqa: PLR2004 — nothing to share
        return lambda progress: ((part, read(part, matcher, progress)) for part in parts)
    workers = _Workers(parts, matcher, min(processes, len(parts)))
    return workers.each


def processes() -> int:
    """Say how many this machine and this process's share of it can use."""
    return min(MOST, len(os.sched_getaffinity(0)))


class _Workers:
    def __init__(self, parts: Sequence[Part], matcher: Matcher, count: int) -> None:
        self._parts = parts
        self._next = 0
        self._busy: dict[Connection, tuple[ForkProcess, int]] = {}
        for _ in range(count):
            ours, theirs = _fork.Pipe()
            process = _fork.Process(target=_work, args=(theirs, ours, parts, matcher), daemon=True)
            process.start()
            theirs.close()
            self._hand_out(ours, process)

    def each(self, progress: Callable[[int], None]) -> Iterator[tuple[Part, Found]]:
        """Give every part with what it holds, in their order."""
        try:
            found: dict[int, Found] = {}
            for number, part in enumerate(self._parts):
                while number not in found:
                    found.update(self.listen(progress))
                yield part, found.pop(number)
        finally:
            self.stop()

    def _hand_out(self, connection: Connection, process: ForkProcess) -> None:
        if self._next < len(self._parts):
            self._busy[connection] = process, self._next
            connection.send(self._next)
            self._next += 1
        else:
            self._busy.pop(connection, None)
            connection.send(None)
            connection.close()

    def listen(self, progress: Callable[[int], None]) -> Iterator[tuple[int, Found]]:
        """Wait for the next words of any worker."""
        ready = wait(list(self._busy))
        for connection, (process, number) in list(self._busy.items()):
            if connection not in ready:
                continue
            try:
                told: int | Found = connection.recv()
            except (EOFError, OSError):
                process.join()
                del self._busy[connection]
                yield number, Found(problem=f"was not read: the process for it ended ({process.exitcode})")
                yield from self._abandon()
                continue
            if isinstance(told, int):
                progress(told)
            else:
                yield number, told
                self._hand_out(connection, process)

    def _abandon(self) -> Iterator[tuple[int, Found]]:
        """Where the last worker is gone, nobody will read the rest."""
        while not self._busy and self._next < len(self._parts):
            yield self._next, Found(problem="was not read: the processes for it ended")
            self._next += 1

    def stop(self) -> None:
        """End whoever still works."""
        for process, _ in self._busy.values():
            process.terminate()
            process.join()


def _work(connection: Connection, parents: Connection, parts: Sequence[Part], matcher: Matcher) -> None:
    """Serve parts until the parent hangs up."""
    parents.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    pending = 0

    def progress(count: int) -> None:
        nonlocal pending
        pending += count
        if pending >= _TELL:
            connection.send(pending)
            pending = 0

    try:
        while (number := connection.recv()) is not None:
            found = read(parts[number], matcher, progress)
            connection.send(pending)
            pending = 0
            connection.send(found)
    except (EOFError, OSError):
        return

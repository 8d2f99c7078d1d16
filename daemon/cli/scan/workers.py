"""Worker processes that match parts of files in parallel; not threads, since hyperscan holds the GIL."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from collectors.logs.scan.parts import FilePart, PartResult, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

    Progress = Callable[[int], None]

    from collectors.logs.matching.matcher import Matcher

MAX_PROCESSES = 8
_PROGRESS_BYTES = 4 << 20  # between two progress messages
_fork = multiprocessing.get_context("fork")  # the packs are loaded once and shared


def start(parts: Sequence[FilePart], matcher: Matcher, processes: int) -> Callable[[Progress], Iterator[tuple[FilePart, PartResult]]]:
    """Fork the workers; must be called before threads are started. With one process there are none, and this one does the work.

    Returns a function of `progress` that yields all parts in their order, with their results.
    """
    if processes < 2 or len(parts) < 2:  # noqa: PLR2004 — nothing to share
        return lambda progress: ((part, read(part, matcher, progress)) for part in parts)
    workers = _Workers(parts, matcher, min(processes, len(parts)))
    return workers.each


def processes() -> int:
    """Return the number of workers for the CPUs that this process may use."""
    return min(MAX_PROCESSES, len(os.sched_getaffinity(0)))


class _Workers:
    def __init__(self, parts: Sequence[FilePart], matcher: Matcher, count: int) -> None:
        self._parts = parts
        self._next = 0
        self._busy: dict[Connection, tuple[ForkProcess, int]] = {}
        for _ in range(count):
            parent_end, child_end = _fork.Pipe()
            process = _fork.Process(target=_work, args=(child_end, parent_end, parts, matcher), daemon=True)
            process.start()
            child_end.close()
            self._assign(parent_end, process)

    def each(self, progress: Progress) -> Iterator[tuple[FilePart, PartResult]]:
        """Yield every part with its result, in their order."""
        try:
            results: dict[int, PartResult] = {}
            for number, part in enumerate(self._parts):
                while number not in results:
                    results.update(self._receive(progress))
                yield part, results.pop(number)
        finally:
            for process, _ in self._busy.values():
                process.terminate()
                process.join()

    def _assign(self, connection: Connection, process: ForkProcess) -> None:
        if self._next < len(self._parts):
            self._busy[connection] = process, self._next
            connection.send(self._next)
            self._next += 1
        else:
            self._busy.pop(connection, None)
            connection.send(None)
            connection.close()

    def _receive(self, progress: Progress) -> Iterator[tuple[int, PartResult]]:
        """Wait for messages of any worker, and yield the results by number of the part."""
        ready = wait(list(self._busy))
        for connection, (process, number) in list(self._busy.items()):
            if connection not in ready:
                continue
            try:
                message: int | PartResult = connection.recv()
            except (EOFError, OSError):
                process.join()
                del self._busy[connection]
                yield number, PartResult(problem=f"not read: the worker process ended with {process.exitcode}")
                yield from self._abandon()
                continue
            if isinstance(message, int):
                progress(message)
            else:
                yield number, message
                self._assign(connection, process)

    def _abandon(self) -> Iterator[tuple[int, PartResult]]:
        """Yield the remaining parts as not read if the last worker has ended."""
        while not self._busy and self._next < len(self._parts):
            yield self._next, PartResult(problem="not read: all worker processes ended")
            self._next += 1


def _work(connection: Connection, parent_end: Connection, parts: Sequence[FilePart], matcher: Matcher) -> None:
    """Match parts until the parent closes the connection."""
    parent_end.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent terminates the workers
    pending = 0

    def progress(count: int) -> None:
        nonlocal pending
        pending += count
        if pending >= _PROGRESS_BYTES:
            connection.send(pending)
            pending = 0

    try:
        while (number := connection.recv()) is not None:
            result = read(parts[number], matcher, progress)
            connection.send(pending)
            pending = 0
            connection.send(result)
    except (EOFError, OSError):
        return

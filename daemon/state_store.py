"""Saved state in memory, and its files behind a disk thread: no caller waits for the disk longer than it says.

Each slot's newest bytes are kept here. A save replaces them, and the disk thread writes what is newer than the files: the newest
state wins, and what could not be written is tried again. Nothing is written before all files were read, so that a disk that hangs at the
start never gets an empty state in place of the one that it has.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from collectors.disk import STUCK_SECONDS, DiskTask, ensure_thread
from collectors.model import NoSlot
from collectors.state import decode, encode
from daemon.state import StateDirectory

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

log = logging.getLogger(__name__)

T = TypeVar("T")


class StateStore:
    """The values of all slots. Thread-safe.

    `failures` counts failed writes since the start, and those that did not end in time; `last_save` is the Unix time of the last that
    succeeded; `dropped` the unusable records by slot. `error` is why there is no state directory, empty while it is opened.
    """

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        """Begin to open the directory and to read the slots `names`; `finish_opening()` takes the result."""
        self.path = path
        self.failures = 0
        self.dropped: dict[str, int] = {}
        self.last_save: float | None = None
        self.error = ""
        self._names = tuple(names)
        self._changed = threading.Condition()  # its lock guards all that follows
        self._directory: StateDirectory | None = None
        self._newest: dict[str, bytes] = {}
        self._unsaved: dict[str, float] = {}  # since when (monotonic), by name
        self._failed: set[str] = set()  # of the unsaved ones, until the next try
        self._unusable: set[str] = set()  # names of files to be kept as NAME.unusable
        self._is_late = False  # a write is in progress that was counted as a failure
        self._opening: DiskTask[tuple[StateDirectory, dict[str, bytes]]] = DiskTask(str(path))
        self._writing: DiskTask[None] = DiskTask(str(path), self._on_written)
        self._opening.start(self._open)

    def finish_opening(self, seconds: float = 0.0) -> None:
        """Wait for the directory until `seconds` after the start. Raises `DiskHangs`, or `BadInput` or `OSError` if it is unusable."""
        if self._directory is not None or self.error:
            return
        directory, newest = self._opening.wait(seconds)
        with self._changed:
            self._directory, self._newest = directory, newest

    def give_up(self, error: str) -> None:
        """Run without a state directory."""
        self.error = error

    @property
    def is_open(self) -> bool:
        """True once the directory is locked and all files are read."""
        return self._directory is not None

    @property
    def is_opening(self) -> bool:
        """True while the disk has not answered."""
        return self._directory is None and not self.error

    def slot(self, name: str) -> FileSlot:
        """Return the slot of one collector; only while the store is open."""
        return FileSlot(self, name)

    def _open(self) -> tuple[StateDirectory, dict[str, bytes]]:
        directory = StateDirectory(self.path)
        newest = {}
        for name in self._names:
            try:
                data = directory.read(name)
            except (ValueError, OSError) as error:
                self._on_unusable(name, getattr(error, "strerror", None) or str(error))
                directory.keep_unusable(name)
                continue
            if data is not None:
                newest[name] = data
        return directory, newest

    def load(self, name: str, schema: type[T]) -> T:
        """Return a slot's newest value, empty if there is none that is usable. Does not touch the disk."""
        with self._changed:
            data = self._newest.get(name)
            self.dropped.setdefault(name, 0)
        if data is None:
            return schema()
        try:
            decoded = decode(data, schema)
        except ValueError as error:
            self._on_unusable(name, str(error))
            self._keep_unusable(name)
            return schema()
        if decoded.dropped:
            self.reject(name, decoded.dropped, decoded.error)
            self._keep_unusable(name)
        return decoded.value

    def _on_unusable(self, name: str, reason: str) -> None:
        self.dropped[name] = self.dropped.get(name, 0) + 1
        path = f"{self.path}/{name}.json"
        log.warning("state file unusable, starting without it file=%s kept_as=%s.unusable error=%s", path, path, reason)

    def _keep_unusable(self, name: str) -> None:
        with self._changed:
            self._unusable.add(name)
        self._write()

    def reject(self, name: str, count: int, reason: str) -> None:
        """Count and log records of a slot that were dropped."""
        self.dropped[name] = self.dropped.get(name, 0) + count
        log.warning("state records dropped file=%s/%s.json dropped=%d error=%s", self.path, name, count, reason)

    def save(self, name: str, value: Any, seconds: float = 0.0) -> bool:  # noqa: ANN401 — a value of any schema
        """Replace a slot's value; with `seconds`, wait so long for its write. Return False if it failed or has not ended."""
        data = encode(value)
        with self._changed:
            self._newest[name] = data
            self._unsaved.setdefault(name, time.monotonic())
            self._failed.discard(name)
        self._write()
        return not seconds or self._is_written(name, data, time.monotonic() + seconds)

    def _is_written(self, name: str, data: bytes, deadline: float) -> bool:
        with self._changed:
            while name in self._unsaved and name not in self._failed and self._newest[name] is data and not self._is_late:
                left = deadline - time.monotonic()
                if left <= 0:
                    self._count_late()
                    break
                if not self._changed.wait(min(left, STUCK_SECONDS)):
                    ensure_thread()
            return name not in self._unsaved or self._newest[name] is not data

    def _count_late(self) -> None:
        """Count a write that does not return, once."""
        self._is_late = True
        self.failures += 1
        log.error("state save has not returned, the disk hangs directory=%s seconds=%.0f", self.path, self._unsaved_seconds())

    def check(self, max_seconds: float) -> None:
        """Try failed writes again, and count one that takes longer than `max_seconds`. Called by the heartbeat."""
        with self._changed:
            self._failed.clear()
            if self._unsaved_seconds() > max_seconds and self._writing.is_busy and not self._is_late:
                self._count_late()
        self._write()

    def unsaved_seconds(self) -> float:
        """Return for how long the oldest value that is not on disk has been waiting, in seconds; 0 if there is none."""
        with self._changed:
            return self._unsaved_seconds()

    def _unsaved_seconds(self) -> float:
        return max(0.0, time.monotonic() - min(self._unsaved.values())) if self._unsaved else 0.0

    def _write(self) -> None:
        """Hand what is unsaved to the disk thread, unless it is writing."""
        with self._changed:
            if self._directory is not None and (self._unusable or not self._unsaved.keys() <= self._failed):
                self._writing.start(self._write_all)

    def _on_written(self) -> None:
        """Collect the result of the task, in the disk thread, and start again for what was saved in between."""
        try:
            self._writing.wait(0)
        except Exception:  # a fault of the program; the values are kept
            log.exception("state save failed")
            return
        self._write()

    def _write_all(self) -> None:
        directory = self._directory
        assert directory is not None  # noqa: S101 — for mypy
        while True:
            with self._changed:
                unusable, self._unusable = self._unusable, set()
                name = next((name for name in self._unsaved if name not in self._failed), None)
                data = self._newest[name] if name is not None else b""
            for other in unusable:
                directory.keep_unusable(other)
            if name is None:
                return
            self._on_result(name, data, directory.write(name, data))

    def _on_result(self, name: str, data: bytes, error: str) -> None:
        with self._changed:
            self._is_late = False
            if error:
                self.failures += 1
                self._failed.add(name)
                log.error("state save failed, keeping the previous file file=%s/%s.json error=%s", self.path, name, error)
            else:
                self.last_save = time.time()
                if self._newest[name] is data:
                    del self._unsaved[name]
                else:
                    self._unsaved[name] = time.monotonic()
            self._changed.notify_all()

    def close(self, seconds: float) -> bool:
        """Write what is unsaved, and release the lock; return False if that was not possible within `seconds`.

        What hangs then ends with the process. Needs no new thread: without one the calling thread writes.
        """
        directory, deadline = self._directory, time.monotonic() + seconds
        if directory is None:
            return not self.is_opening
        with self._changed:
            self._failed.clear()
        self._write()
        with self._changed:
            while not self._unsaved.keys() <= self._failed and time.monotonic() < deadline:
                if not self._changed.wait(STUCK_SECONDS):
                    ensure_thread()
        if self._writing.cancel():
            self._write_all()
        closing: DiskTask[None] = DiskTask(str(self.path))
        if not self._writing.is_busy:
            closing.start(directory.close)
        return not self._unsaved and closing.ended(STUCK_SECONDS)


class FileSlot(NamedTuple):
    """One file of the state directory, as a `collectors.model.Slot`."""

    store: StateStore
    name: str

    def load(self, schema: type[T]) -> T:
        """Return the value saved last, empty if there is none."""
        return self.store.load(self.name, schema)

    def reject(self, count: int, reason: str) -> None:
        """Count records that the collector dropped."""
        self.store.reject(self.name, count, reason)

    def save(self, value: Any, seconds: float = 0.0) -> bool:  # noqa: ANN401
        """Replace the value; see `StateStore.save`."""
        return self.store.save(self.name, value, seconds)


class PendingSlot(NoSlot):
    """Slot of a collector that started before the state was read: empty, and nothing is kept. `was_used`: it would have had one."""

    was_used = False

    def load(self, schema: type[T]) -> T:
        """Return an empty value."""
        self.was_used = True
        return super().load(schema)

"""Persistent state: versioned JSON files in one locked directory, each replaced atomically.

A file is written beside the old one, fsynced and renamed over it, and the directory is fsynced, so that a power cut leaves either the
old state or the new one (rename(2); LWN 457667 "Ensuring data reaches disk"). Files are opened relative to the directory's descriptor
with `O_NOFOLLOW`, so that a symlink in the directory is not followed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import stat
import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from collectors.model import BadInput, InUse
from collectors.state import MAX_BYTES, Decoded, decode, encode

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

T = TypeVar("T")

READ_ATTEMPTS = 3
RETRY_SECONDS = 0.05

_NO_DIRECTORY = "{}: not a directory, or a symlink to one; expected a directory for --state.directory"


class StateDirectory:
    """State directory, locked against a second daemon until `close()`."""

    def __init__(self, path: Path) -> None:
        """Open and lock `path`, created if missing. Raises `BadInput` (another owner, a symlink, locked) or `OSError`."""
        self.path = path
        self.failures = 0  # failed saves since start
        self.dropped: dict[str, int] = {}  # unusable records of each slot; an unusable file is one
        path.mkdir(mode=0o750, parents=True, exist_ok=True)
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except NotADirectoryError:
            raise BadInput(_NO_DIRECTORY.format(path)) from None
        try:
            self._lock = self._acquire_lock()
        except BaseException:
            os.close(self._fd)
            raise

    def _acquire_lock(self) -> int:
        """Check the owner, then lock. Raises `BadInput`."""
        _check_owner(self.path, os.fstat(self._fd))
        try:
            fd = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600, dir_fd=self._fd)
        except OSError as error:
            raise BadInput(f"{self.path}/lock: {error.strerror}; expected a regular file owned by vitald, or none") from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, 0)
            os.write(fd, b"%d\n" % os.getpid())
        except BlockingIOError:
            holder = os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise InUse(f"{self.path}: in use by another vitald (pid {holder}); expected a --state.directory of its own for each") from None
        except OSError as error:  # a full disk; the lock itself is held
            log.warning("pid not written to the lock file file=%s/lock error=%s", self.path, error.strerror)
        return fd

    def slot(self, name: str) -> FileSlot:
        """Return the slot of one collector."""
        return FileSlot(self, f"{name}.json")

    def load(self, name: str, schema: type[T]) -> T:
        """Return the value of a file, empty if there is none; an unusable file, or one with bad records, is kept as `NAME.unusable`.

        A file that cannot be read now is not unusable: it is tried again, then left where it is.
        """
        slot = name.removesuffix(".json")
        self.dropped.setdefault(slot, 0)
        try:
            data = self._read_patiently(name)
            decoded = Decoded(schema()) if data is None else decode(data, schema)
        except OSError as error:
            self.dropped[slot] += 1
            log.error("state file not read, starting without it file=%s/%s error=%s", self.path, name, error.strerror)  # noqa: TRY400
            return schema()
        except ValueError as error:
            self.dropped[slot] += 1
            log.warning("state file unusable, starting without it file=%s/%s kept_as=%s.unusable error=%s", self.path, name, name, error)
            with contextlib.suppress(OSError):
                os.rename(name, f"{name}.unusable", src_dir_fd=self._fd, dst_dir_fd=self._fd)
            return schema()
        if decoded.dropped:
            self._keep_copy(name)
            self.reject(name, decoded.dropped, decoded.error)
        return decoded.value

    def _read_patiently(self, name: str) -> bytes | None:
        for _ in range(READ_ATTEMPTS - 1):
            try:
                return self._read(name)
            except OSError as error:
                log.debug("state file not read, trying again file=%s/%s error=%s", self.path, name, error.strerror)
                time.sleep(RETRY_SECONDS)
        return self._read(name)

    def _read(self, name: str) -> bytes | None:
        """Return the contents of a file; None if there is none. Raises OSError, and ValueError for what vitald did not write."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENXIO, errno.EACCES, errno.EPERM}:  # a symlink, a socket or a device, another's file
                raise ValueError(error.strerror) from None
            raise
        try:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid() or info.st_size > MAX_BYTES:
                raise ValueError("not a regular file of this user, or too large")
            with open(fd, "rb", closefd=False) as file:
                return file.read(MAX_BYTES)
        finally:
            os.close(fd)

    def reject(self, name: str, count: int, reason: str) -> None:
        """Count and log records of a file that were dropped."""
        self.dropped[name.removesuffix(".json")] += count
        log.warning("state records dropped file=%s/%s dropped=%d error=%s", self.path, name, count, reason)

    def _keep_copy(self, name: str) -> None:
        """Link the file to `NAME.unusable`; the next save replaces only the other name."""
        with contextlib.suppress(OSError):
            os.unlink(f"{name}.unusable", dir_fd=self._fd)
        with contextlib.suppress(OSError):
            os.link(name, f"{name}.unusable", src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def save(self, name: str, value: Any) -> bool:  # noqa: ANN401
        """Replace a file atomically; False, counted and logged, if it could not be written."""
        data, temporary = encode(value), f"{name}.new"
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=self._fd)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(temporary, flags, 0o600, dir_fd=self._fd), "wb") as target:  # noqa: PTH123
                target.write(data)
                target.flush()
                os.fsync(target.fileno())
            os.rename(temporary, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
            os.fsync(self._fd)
        except OSError as error:
            self.failures += 1
            log.error("state save failed, keeping the previous file file=%s/%s error=%s", self.path, name, error.strerror)  # noqa: TRY400
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=self._fd)
            return False
        return True

    def close(self) -> None:
        """Release the lock."""
        for fd in (self._lock, self._fd):
            with contextlib.suppress(OSError):  # Linux has released the descriptor (close(2)), and everything is saved
                os.close(fd)


def check(path: Path) -> None:
    """Check a directory as the daemon's start does, without changing it; one that is missing is made at the start. Raises `BadInput`."""
    try:
        info = path.lstat()
    except OSError:
        return  # it is made, or the daemon runs without it
    if not stat.S_ISDIR(info.st_mode):
        raise BadInput(_NO_DIRECTORY.format(path))
    _check_owner(path, info)


def _check_owner(path: Path, info: os.stat_result) -> None:
    if info.st_uid != os.geteuid():
        raise BadInput(f"{path}: owned by uid {info.st_uid}; expected uid {os.geteuid()}, which vitald runs as")
    if info.st_mode & 0o022:
        raise BadInput(f"{path}: writable by others (mode {stat.S_IMODE(info.st_mode):o}); expected mode 750 or less")


class FileSlot(NamedTuple):
    """One file of the state directory, as a `collectors.model.Slot`."""

    directory: StateDirectory
    name: str

    def load(self, schema: type[T]) -> T:
        """Return the value saved last, empty if there is none."""
        return self.directory.load(self.name, schema)

    def reject(self, count: int, reason: str) -> None:
        """Count records that the collector dropped."""
        self.directory.reject(self.name, count, reason)

    def save(self, value: Any) -> bool:  # noqa: ANN401
        """Replace the file atomically."""
        return self.directory.save(self.name, value)

"""Persistent state: versioned JSON files in one locked directory, each replaced atomically.

A file is written beside the old one, fsynced and renamed over it, and the directory is fsynced, so that a power cut leaves either the
old state or the new one (rename(2); LWN 457667 "Ensuring data reaches disk"). Files are opened relative to the directory's descriptor
with `O_NOFOLLOW`, so that a symlink in the directory is not followed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from collectors.model import BadInput, InUse

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

VERSION = 1
_NO_DIRECTORY = "{}: not a directory, or a symlink to one; expected a directory for --state.directory"
MAX_BYTES = 16 << 20  # far above any state that vitald writes


class _File(msgspec.Struct, frozen=True):
    version: int
    value: Any


class StateDirectory:
    """State directory, locked against a second daemon until `close()`."""

    def __init__(self, path: Path) -> None:
        """Open and lock `path`, created if missing. Raises `BadInput` (another owner, a symlink, locked) or `OSError`."""
        self.path = path
        self.failures = 0  # failed saves since start
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

    def load(self, name: str) -> Any:  # noqa: ANN401 — plain JSON values
        """Return the value of a file, or None; an unusable file is renamed to `NAME.unusable`, logged."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._set_aside(name, error.strerror or "unreadable")
        try:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid() or info.st_size > MAX_BYTES:
                return self._set_aside(name, "not a regular file of this user, or too large")
            with open(fd, "rb", closefd=False) as file:
                found = msgspec.convert(json.load(file), type=_File)  # msgspec's own decoder refuses lone surrogates
        except (ValueError, RecursionError, OSError) as error:  # msgspec's own errors are ValueErrors
            return self._set_aside(name, str(error))
        finally:
            os.close(fd)
        if found.version != VERSION:
            return self._set_aside(name, f"version {found.version}, expected {VERSION}")
        return found.value

    def _set_aside(self, name: str, reason: str) -> None:
        log.warning("state file unusable, starting without it file=%s/%s kept_as=%s.unusable error=%s", self.path, name, name, reason)
        with contextlib.suppress(OSError):
            os.rename(name, f"{name}.unusable", src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def save(self, name: str, value: Any) -> bool:  # noqa: ANN401
        """Replace a file atomically; False, counted and logged, if it could not be written."""
        file, temporary = _File(VERSION, value), f"{name}.new"
        try:
            data = msgspec.json.encode(file)
        except UnicodeEncodeError:  # a name that is not UTF-8, as os.fsdecode() returns it; json escapes it
            data = json.dumps(msgspec.to_builtins(file)).encode()
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
        os.close(self._lock)
        os.close(self._fd)


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

    def load(self) -> Any:  # noqa: ANN401
        """Return the value saved last, or None."""
        return self.directory.load(self.name)

    def save(self, value: Any) -> bool:  # noqa: ANN401
        """Replace the file atomically."""
        return self.directory.save(self.name, value)

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
from typing import TYPE_CHECKING

from collectors.model import BadInput, InUse
from collectors.state import MAX_BYTES

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

_NOT_OURS = {errno.ELOOP, errno.ENXIO, errno.EACCES, errno.EPERM}  # a symlink, a socket or a device, another's file
_TRIES, _PAUSE_SECONDS = 3, 0.05  # of a read that fails
_NO_DIRECTORY = "{}: not a directory, or a symlink to one; expected a directory for --state.directory"


class StateDirectory:
    """State directory, locked against a second daemon until `close()`. Every method may hang with its disk: `StateStore` calls them."""

    def __init__(self, path: Path) -> None:
        """Open and lock `path`, created if missing. Raises `BadInput` (another owner, a symlink, locked) or `OSError`."""
        self.path = path
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

    def read(self, name: str) -> bytes | None:
        """Return the contents of a slot's file; None if there is none. Raises OSError, and ValueError for what vitald did not write.

        An error that may pass (no descriptor, no memory, an interrupted or failed read) is tried again.
        """
        for _ in range(_TRIES - 1):
            try:
                return self._read(f"{name}.json")
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno in _NOT_OURS:
                    raise ValueError(error.strerror) from None
                time.sleep(_PAUSE_SECONDS)
        return self._read(f"{name}.json")

    def _read(self, file: str) -> bytes:
        fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd)
        try:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid() or info.st_size > MAX_BYTES:
                raise ValueError("not a regular file of this user, or too large")
            with open(fd, "rb", closefd=False) as contents:
                return contents.read(MAX_BYTES)
        finally:
            os.close(fd)

    def keep_unusable(self, name: str) -> None:
        """Keep a slot's file as `NAME.json.unusable`, a link: the next write replaces the other name. What cannot be linked is renamed."""
        file, kept = f"{name}.json", f"{name}.json.unusable"
        with contextlib.suppress(OSError):
            os.unlink(kept, dir_fd=self._fd)
        try:
            os.link(file, kept, src_dir_fd=self._fd, dst_dir_fd=self._fd, follow_symlinks=False)
        except OSError:  # a directory
            with contextlib.suppress(OSError):
                os.rename(file, kept, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def write(self, name: str, data: bytes) -> str:
        """Replace a slot's file atomically; return the error, empty for none."""
        file, temporary = f"{name}.json", f"{name}.json.new"
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=self._fd)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(temporary, flags, 0o600, dir_fd=self._fd), "wb") as target:  # noqa: PTH123
                target.write(data)
                target.flush()
                os.fsync(target.fileno())
            os.rename(temporary, file, src_dir_fd=self._fd, dst_dir_fd=self._fd)
            os.fsync(self._fd)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=self._fd)
            return error.strerror or str(error)
        return ""

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

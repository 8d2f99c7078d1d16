"""What outlives a restart: versioned JSON files in one locked directory, each replaced atomically.

A file is written beside the old one, fsynced, renamed over it, and the directory is fsynced, so that after a power cut there is the old
state or the new one (rename(2); LWN 457667 "Ensuring data reaches disk"). All calls go through the directory's descriptor with
`O_NOFOLLOW`: whoever can write a symlink into the directory still cannot point us at another file.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import stat
from typing import TYPE_CHECKING, Any

import msgspec

from collectors.model import BadInput, InUse

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

VERSION = 1
MAX_BYTES = 16 << 20  # no state of ours is near it; a file that is was not written by us


class _File(msgspec.Struct, frozen=True):
    version: int
    value: Any


class StateDirectory:
    """A directory of ours, locked against a second daemon until `close()`."""

    def __init__(self, path: Path) -> None:
        """Open and lock `path`, made if missing. BadInput: somebody else's, a symlink, or locked; OSError: cannot be had at all."""
        self.path = path
        self.failures = 0  # saves that did not reach the disk, since start
        path.mkdir(mode=0o750, parents=True, exist_ok=True)
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except NotADirectoryError:
            raise BadInput(f"{path}: not a directory (or a symlink to one); --state.directory wants a real directory") from None
        try:
            self._refuse_strangers()
            self._lock = self._take_lock()
        except BaseException:
            os.close(self._fd)
            raise

    def _refuse_strangers(self) -> None:
        info = os.fstat(self._fd)
        if info.st_uid != os.geteuid():
            raise BadInput(f"{self.path}: belongs to uid {info.st_uid}, vitald runs as uid {os.geteuid()}; chown it or choose another")
        if info.st_mode & 0o022:
            raise BadInput(f"{self.path}: others may write to it (mode {stat.S_IMODE(info.st_mode):o}); chmod go-w it")

    def _take_lock(self) -> int:
        try:
            fd = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600, dir_fd=self._fd)
        except OSError as error:
            raise BadInput(f"{self.path}/lock: {error.strerror}; it must be a plain file of vitald's own: remove it") from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, 0)
            os.write(fd, b"%d\n" % os.getpid())
        except BlockingIOError:
            holder = os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise InUse(f"{self.path}: another vitald (pid {holder}) uses it; stop it or give this one its own --state.directory") from None
        except OSError as error:  # a full disk takes the pid, not the lock
            log.warning("cannot write our pid into %s/lock: %s", self.path, error.strerror)
        return fd

    def slot(self, name: str) -> FileSlot:
        """Give the place of one collector."""
        return FileSlot(self, f"{name}.json")

    def load(self, name: str) -> Any:  # noqa: ANN401 — plain JSON values
        """Read a file back, or None; what cannot be used is moved aside, for a person to look at, and said."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._set_aside(name, error.strerror or "unreadable")
        try:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid() or info.st_size > MAX_BYTES:
                return self._set_aside(name, "not a plain file of ours")
            found = msgspec.convert(json.loads(_read(fd)), type=_File)  # msgspec's own decoder refuses lone surrogates
        except (ValueError, RecursionError, OSError) as error:  # msgspec's own errors are ValueErrors
            return self._set_aside(name, str(error))
        finally:
            os.close(fd)
        if found.version != VERSION:
            return self._set_aside(name, f"version {found.version}, this vitald writes {VERSION}")
        return found.value

    def _set_aside(self, name: str, reason: str) -> None:
        log.warning("state %s/%s is of no use (%s): starting fresh, the old one is kept as %s.unusable", self.path, name, reason, name)
        with contextlib.suppress(OSError):
            os.rename(name, f"{name}.unusable", src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def save(self, name: str, value: Any) -> bool:  # noqa: ANN401
        """Replace a file atomically; False, counted and logged, where the disk would not take it."""
        data = _encode(_File(VERSION, value))
        temporary = f"{name}.new"
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=self._fd)
            self._write(temporary, data)
            os.rename(temporary, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
            os.fsync(self._fd)
        except OSError as error:
            self.failures += 1
            log.error("cannot save state %s/%s: %s; what was saved before is still there", self.path, name, error.strerror)  # noqa: TRY400
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=self._fd)
            return False
        return True

    def _write(self, name: str, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, 0o600, dir_fd=self._fd)
        with open(fd, "wb", buffering=0) as file:  # noqa: PTH123
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            os.fsync(fd)

    def close(self) -> None:
        """Let the next daemon in."""
        os.close(self._lock)
        os.close(self._fd)


def _encode(file: _File) -> bytes:
    try:
        return msgspec.json.encode(file)
    except UnicodeEncodeError:  # a device or file whose name is no UTF-8, as os.fsdecode gives it: json writes it as an escape
        return json.dumps(msgspec.to_builtins(file)).encode()


def _read(fd: int) -> bytes:
    parts = []
    while part := os.read(fd, 1 << 20):
        parts.append(part)
    return b"".join(parts)


class FileSlot:
    """One name in the state directory, as collectors know it (`collectors.model.Slot`)."""

    def __init__(self, directory: StateDirectory, name: str) -> None:
        self._directory = directory
        self._name = name

    def load(self) -> Any:  # noqa: ANN401
        """Give what was saved last, or None."""
        return self._directory.load(self._name)

    def save(self, value: Any) -> bool:  # noqa: ANN401
        """Replace it atomically."""
        return self._directory.save(self._name, value)

"""Local socket: a Unix stream socket in the file system. The file's permissions decide who may connect, in place of TLS and passwords.

unix(7): connecting needs write permission for the socket and search permission for its directories. The socket of a process that has
ended stays in the file system and refuses connections; it is replaced. One that a process still listens on is not.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from typing import TYPE_CHECKING

from collectors.model import BadInput, InUse

if TYPE_CHECKING:
    from pathlib import Path

MODE = 0o660  # the user and the group of the process
_MAX_PATH = 107  # bytes: sun_path of sockaddr_un(3type) with its end
_BACKLOG = 64


class LocalSocket:
    """A bound and listening socket; `close()` removes its file."""

    def __init__(self, path: Path) -> None:
        """Bind. Raises `BadInput`, `InUse` if another process listens there."""
        self.path = path
        check_path(path)
        _remove_stale(path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            self.listener.bind(os.fsencode(path))
            self._identity = _identity(path)
            path.chmod(MODE)  # before listen(2): until then each connection is refused
            self.listener.listen(_BACKLOG)
        except OSError as error:
            self.listener.close()
            raise _refused(path, error.strerror or "") from None

    def close(self) -> None:
        """Remove the file, unless it was replaced; before the listener is closed, which keeps its inode from being used again."""
        with contextlib.suppress(OSError):
            if _identity(self.path) == self._identity:
                self.path.unlink()


def check_path(path: Path) -> None:
    """Check that a socket can be made there; that no process listens on one that is there is not checked. Raises `BadInput`."""
    if len(os.fsencode(path)) > _MAX_PATH:
        raise BadInput(f"local socket {path}: longer than {_MAX_PATH} bytes; expected a shorter path")
    try:
        status = path.lstat()
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise _refused(path, "No such directory") from None
        if not os.access(path.parent, os.W_OK | os.X_OK, effective_ids=True):
            raise _refused(path, "Permission denied") from None
    except OSError as error:
        raise _refused(path, error.strerror or "") from None
    else:
        if not stat.S_ISSOCK(status.st_mode):
            raise BadInput(f"local socket {path}: a file that is no socket is in the way; expected a path of its own")


def _refused(path: Path, error: str) -> BadInput:
    return BadInput(f"local socket {path}: {error}; expected a path in a directory that uid {os.geteuid()} can write to")


def _remove_stale(path: Path) -> None:
    """Remove the socket of a process that has ended. Raises `BadInput`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(os.fsencode(path))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            with contextlib.suppress(OSError):  # bind(2) reports it
                path.unlink(missing_ok=True)
            return
        except BlockingIOError:  # its backlog is full
            pass
        except OSError as error:
            raise BadInput(f"local socket {path}: {error.strerror}; expected a path of its own") from None
    raise InUse(f"local socket {path}: another process listens on it; expected a path of its own for each vitald")


def _identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino

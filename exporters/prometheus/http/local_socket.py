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
        if len(os.fsencode(path)) > _MAX_PATH:
            raise BadInput(f"local socket {path}: longer than {_MAX_PATH} bytes; expected a shorter path")
        _remove_stale(path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            self.listener.bind(os.fsencode(path))
            self._identity = _identity(path)
            path.chmod(MODE)  # before listen(2): until then each connection is refused
            self.listener.listen(_BACKLOG)
        except OSError as error:
            self.listener.close()
            raise BadInput(
                f"local socket {path}: {error.strerror}; expected a path in a directory that uid {os.geteuid()} can write to"
            ) from None

    def close(self) -> None:
        """Remove the file, unless it was replaced; before the listener is closed, which keeps its inode from being used again."""
        with contextlib.suppress(OSError):
            if _identity(self.path) == self._identity:
                self.path.unlink()


def _remove_stale(path: Path) -> None:
    """Remove the socket of a process that has ended. Raises `BadInput`."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise BadInput(
            f"local socket {path}: {error.strerror}; expected a path in a directory that uid {os.geteuid()} can write to"
        ) from None
    if not stat.S_ISSOCK(status.st_mode):
        raise BadInput(f"local socket {path}: a file that is no socket is in the way; expected a path of its own")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(os.fsencode(path))
        except (ConnectionRefusedError, FileNotFoundError):
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

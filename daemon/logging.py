"""Log output: one line per event on stderr, as logfmt or JSON; it never blocks, and its rate is limited.

A repeated line is printed once a minute with a count. Lines for which the reader has no room (a full pipe, a stopped terminal, a
frozen journald) are dropped and counted. Under systemd each line starts with its priority, `<3>` (sd-daemon(3)), and has no
timestamp, since the journal adds one.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import os
import select
import socket
import stat
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Literal

from collectors.model import is_host_error

Format = Literal["logfmt", "json"]

_log = logging.getLogger(__name__)

MAX_LINE = 4000  # bytes; below PIPE_BUF (4096), so that poll(2)'s POLLOUT promises room for a whole line in a pipe
FOLD_SECONDS = 60.0
FOLD_LINES = 256  # distinct lines counted at a time
BURST = 30  # distinct lines of one log call per minute

_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class LineFormatter(logging.Formatter):
    """Formatter that makes a record one line of printable text."""

    def __init__(self, style: Format, *, under_systemd: bool) -> None:
        super().__init__()
        self._as_json = style == "json"
        self._under_systemd = under_systemd

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's fields in a fixed order."""
        fields: dict[str, object] = {}
        if not self._under_systemd:
            fields["ts"] = dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields |= {"level": record.levelname.lower(), "msg": record.getMessage()}
        if record.exc_info and is_host_error(record.exc_info[1]) and not logging.getLogger().isEnabledFor(logging.DEBUG):
            fields["error"] = f"{type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
        elif record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        if repeated := getattr(record, "repeated", 0):
            fields["repeated"] = repeated
        line = json.dumps(fields, ensure_ascii=True) if self._as_json else " ".join(f"{k}={_logfmt(v)}" for k, v in fields.items())
        return f"<{_PRIORITY.get(record.levelno, 6)}>{line}" if self._under_systemd else line


class LineHandler(logging.Handler):
    """Handler that writes to a descriptor without blocking and folds repeated lines.

    Since start, `dropped` counts lines for which the reader had no room, `folded` those that are part of another line's count.
    """

    def __init__(self, fd: int) -> None:
        super().__init__()
        self.dropped = 0
        self.folded = 0
        self._fd = fd
        self._socket = _as_socket(fd)
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._folds: dict[tuple[str, str], _Repetition] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record, or count it as a repetition."""
        line, call = (record.levelname, record.getMessage()), ("", str(record.msg))
        if self._suppress(line, record, 1, counted_only=True) or self._suppress(call, record, BURST):
            self.folded += 1
            return
        self._suppress(line, record, 1)
        self._print(record)

    def _suppress(self, key: tuple[str, str], record: logging.LogRecord, limit: int, *, counted_only: bool = False) -> bool:
        """Count a record of `key`; return True beyond `limit` records within its minute. `counted_only`: start no new count."""
        fold = self._folds.get(key)
        if fold is None or time.monotonic() - fold.since >= FOLD_SECONDS:
            self._flush(key)
            if counted_only:
                return False
            if len(self._folds) >= FOLD_LINES:
                self._flush(next(iter(self._folds)))
            fold = self._folds[key] = _Repetition(record)
        fold.count += 1
        if fold.count <= limit:
            return False
        fold.latest = record
        fold.suppressed += 1
        return True

    def flush_counts(self, seconds: float) -> None:
        """Print the counts that are at least `seconds` old."""
        now = time.monotonic()
        with self.lock or threading.RLock():
            for key in [key for key, fold in self._folds.items() if now - fold.since >= seconds]:
                self._flush(key)

    def _flush(self, key: tuple[str, str]) -> None:
        fold = self._folds.pop(key, None)
        if fold is not None and fold.suppressed:
            self._print(logging.makeLogRecord({**fold.latest.__dict__, "repeated": fold.suppressed, "exc_info": None}))

    def _print(self, record: logging.LogRecord) -> None:
        data = self.format(record).encode("utf-8", "backslashreplace")
        if len(data) > MAX_LINE:
            data = data[: MAX_LINE - 3] + b"..."
        data += b"\n"
        try:
            if self._socket is not None:
                self._socket.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            elif self._poll.poll(0):
                os.write(self._fd, data)
            else:
                self.dropped += 1
        except OSError:
            self.dropped += 1


@dataclass(slots=True)
class _Repetition:
    """Count of one line, or of one log call, within its minute."""

    latest: logging.LogRecord
    since: float = field(default_factory=time.monotonic)
    count: int = 0
    suppressed: int = 0


def set_up(level: str, style: Format, fd: int = 2) -> LineHandler:
    """Send every logger's lines to `fd`; return the handler."""
    handler = LineHandler(fd)
    handler.setFormatter(LineFormatter(style, under_systemd=_is_journal(fd)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.raiseExceptions = False
    threading.excepthook, sys.unraisablehook = _log_thread_failure, _log_unraisable
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # its warnings of skipped runs are a metric here
    return handler


def _log_thread_failure(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None:
        name = failure.thread.name if failure.thread else "unknown"
        _log.critical("thread ended by an error thread=%s", name, exc_info=failure.exc_value)


def _log_unraisable(failure: sys.UnraisableHookArgs) -> None:
    if failure.exc_value is not None:
        _log.error("error ignored in=%r", failure.object, exc_info=failure.exc_value)


def _is_journal(fd: int) -> bool:
    """Return True if the descriptor is the stream that systemd connected to the journal (systemd.exec(5), $JOURNAL_STREAM)."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    with contextlib.suppress(OSError):
        info = os.fstat(fd)
        return (device, inode) == (str(info.st_dev), str(info.st_ino))
    return False


def _as_socket(fd: int) -> socket.socket | None:
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.fstat(fd).st_mode):
            return socket.socket(fileno=os.dup(fd))
    return None


def _logfmt(value: object) -> str:
    """Quote a value where go-logfmt does: spaces, `=`, quotes and unprintable characters."""
    text = str(value)
    if text and text.isprintable() and text.isascii() and not any(c in ' ="\\' for c in text):
        return text
    return json.dumps(text, ensure_ascii=False) if text.isprintable() else json.dumps(text, ensure_ascii=True)

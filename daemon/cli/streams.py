"""Standard streams of a command: missing, closed, full, or of an encoding that lacks characters. None of these is a traceback.

A command runs to its end, so that its exit status is that of its result, also where the reader of its output has gone
(`vitald check | head`).
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

_STANDARD = _STDIN, _STDOUT, _STDERR = 0, 1, 2


class OutputFile(io.FileIO):
    """Standard output or standard error. What cannot be written is discarded, and the first error is kept in `error`."""

    error: OSError | None = None

    def write(self, data: Any, /) -> int:  # noqa: ANN401 — any buffer
        """Write; report all of it as written if it cannot be."""
        if self.error is None:
            try:
                return super().write(data) or 0
            except OSError as error:
                self.error = error
        return len(memoryview(data).cast("B"))


_output: OutputFile | None = None


def set_up() -> None:
    """Replace the standard streams. To be called first: a descriptor that is closed would become one of the command's own files."""
    global _output  # noqa: PLW0603 — a process has one standard output
    closed = [descriptor for descriptor in _STANDARD if not _is_open(descriptor)]
    for _ in closed:
        os.open(os.devnull, os.O_RDWR)  # the lowest free number (open(2)), so each of them in turn
    if sys.stdin is None:
        sys.stdin = open(_STDIN, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115 — for the life of the process
    if _is_real(sys.stderr, _STDERR):
        sys.stderr = _text(OutputFile(_STDERR, "wb", closefd=False), sys.stderr, line_buffering=True)
    if _is_real(sys.stdout, _STDOUT):
        _output = OutputFile(_STDOUT, "wb", closefd=False)
        if _STDOUT in closed:
            _output.error = OSError(errno.EBADF, "closed")
        sys.stdout = _text(_output, sys.stdout, line_buffering=_output.isatty())


def _text(file: OutputFile, before: Any, *, line_buffering: bool) -> io.TextIOWrapper:  # noqa: ANN401 — a text stream, or None
    """Return a text stream with the encoding of the one before; a character that it lacks is escaped."""
    encoding = "utf-8" if before is None else before.encoding
    return io.TextIOWrapper(io.BufferedWriter(file), encoding, errors="backslashreplace", line_buffering=line_buffering)


def write_document(text: str) -> None:
    """Write YAML or JSON, which is UTF-8 whatever the locale is: an escape for a terminal would change its content."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(text)


def finish() -> OSError | None:
    """Write what is buffered; return why not all output was written. A reader that has gone is no error."""
    sys.stdout.flush()
    failed = None if _output is None else _output.error
    return None if failed is None or failed.errno == errno.EPIPE else failed


def is_broken() -> bool:
    """Return whether output is discarded, so that a command without an end can end."""
    return _output is not None and _output.error is not None


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _is_real(stream: Any, descriptor: int) -> bool:  # noqa: ANN401 — None, a file, or another object with its methods
    """Return whether a stream is the process's own, or missing; not a test's, or another program's that calls main()."""
    if stream is None:
        return True
    try:
        return stream in (sys.__stdout__, sys.__stderr__) and bool(stream.fileno() == descriptor)
    except (OSError, ValueError):
        return False

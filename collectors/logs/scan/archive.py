"""Log files to scan: what kind of file each is, and compressed files and pipes as blocks of whole lines."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.compression import MAGIC_BYTES, CompressionError, Decompressor, detect
from collectors.logs.scan.blocks import BLOCK_BYTES, LINE_HEAD_BYTES, MAX_LINE_BYTES, whole_lines
from collectors.model import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STDIN = "-"
_JOURNAL_MAGIC = b"LPKSHHRH"
_INPUT_BYTES = 1 << 16


class IncompleteRead(Exception):  # noqa: N818 — what was read before it counts
    """A file could not be read to its end; the text is the reason."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file's properties: `compression` is empty for plain text, `size` is in bytes on disk, 0 for a pipe; `mtime` is Unix time.

    In a gzip file `mtime` is that of the original (RFC 1952 2.3.1) if it is earlier.
    """

    compression: str
    size: int
    mtime: float | None
    head: bytes = b""

    @property
    def is_divisible(self) -> bool:
        """True if any part of the file can be read on its own."""
        return not self.compression and self.size > 0


def inspect(name: str) -> LogFile:
    """Read a file's status and first bytes; a pipe and stdin (`-`) are not read.

    Raises `BadInput` for a directory, a binary journal or an unreadable file.
    """
    if name == STDIN:
        return LogFile("", 0, None)
    try:
        status = Path(name).stat()
        if stat.S_ISDIR(status.st_mode):
            raise BadInput(f"{name}: is a directory; expected files")
        if not stat.S_ISREG(status.st_mode):
            return LogFile("", 0, None)  # opening a FIFO without a writer would block
        with Path(name).open("rb", buffering=0) as file:
            head = file.read(LINE_HEAD_BYTES)
    except OSError as error:
        raise BadInput(f"{name}: cannot be read: {error.strerror}") from None
    if head.startswith(_JOURNAL_MAGIC):
        raise BadInput(f"{name}: is a binary journal; expected its export: `journalctl --file={name} -o json --all | vitald scan -`")
    compression = detect(head)
    original_mtime = int.from_bytes(head[4:8], "little") if compression == "gzip" else 0
    return LogFile(compression, status.st_size, min(original_mtime or status.st_mtime, status.st_mtime), head)


def stream(name: str, progress: Callable[[int], None]) -> Iterator[bytes]:
    """Yield the lines of a compressed file or a pipe in blocks; `progress` is called with the bytes read from it.

    Raises `IncompleteRead` after the last block that could be read.
    """
    with open(0 if name == STDIN else name, "rb", buffering=0, closefd=name != STDIN) as raw:

        def read(size: int) -> bytes:
            data = raw.read(size) or b""
            progress(len(data))
            return data

        carry, skipping = b"", False
        try:
            for data in _plain(read):
                if skipping:
                    _, newline, data = data.partition(b"\n")  # noqa: PLW2901 — the rest of it
                    skipping = not newline
                carry += data
                if cut := whole_lines(carry) if len(carry) >= BLOCK_BYTES // 2 else 0:
                    yield carry[:cut]
                    carry = carry[cut:]
                elif len(carry) >= MAX_LINE_BYTES:
                    yield carry[:LINE_HEAD_BYTES] + b"\n"
                    carry, skipping = b"", True
        except (IncompleteRead, OSError):
            if carry:
                yield carry
            raise
        if carry:
            yield carry


def _plain(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield the plain text of what `read` returns, compressed or not."""
    head = read(_INPUT_BYTES)
    while 0 < len(head) < MAGIC_BYTES and (more := read(_INPUT_BYTES)):
        head += more
    if not (compression := detect(head)):
        while head:
            yield head
            head = read(BLOCK_BYTES)
        return
    pending = [head]
    try:
        decompressor = Decompressor(lambda size: pending.pop() if pending else read(size))
    except CompressionError as error:  # no module for zstd
        raise IncompleteRead(f"{error}: pipe its output into `vitald scan -`") from None
    try:
        while data := decompressor.read(BLOCK_BYTES // 2):
            yield data
    except CompressionError as error:
        raise IncompleteRead(f"{compression} data: {error!s:.80}; only what precedes it was read") from None

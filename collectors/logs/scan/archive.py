"""Compressed logs and pipes as blocks of whole lines: .gz, .xz, .bz2 and .zst. What a file is, its first bytes say, not its name."""

from __future__ import annotations

import io
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from collectors.logs.scan.blocks import BLOCK, HEAD, LONGEST, whole_lines
from collectors.model import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STDIN = "-"
_MAGIC = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd"}
_JOURNAL = b"LPKSHHRH"


class Incomplete(Exception):  # noqa: N818 — what was read before it counts
    """A file could not be read to its end; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is: `compression` is empty for plain text; `size` in bytes as it lies there, 0 for a pipe; `at`: its last change."""

    compression: str
    size: int
    at: float | None
    head: bytes = b""

    @property
    def divisible(self) -> bool:
        """Say whether any part of it can be read by itself."""
        return not self.compression and self.size > 0


def look(name: str) -> Kind:
    """Look at a file's first bytes. `-` is stdin, which is not touched. Raises `BadInput` for what is no log, with the way out."""
    if name == STDIN:
        return Kind("", 0, None)
    try:
        status = Path(name).stat()
        if stat.S_ISDIR(status.st_mode):
            msg = f"{name}: is a directory; name the files in it"
            raise BadInput(msg)
        if not stat.S_ISREG(status.st_mode):
            return Kind("", 0, None)  # a FIFO without a writer must not hang us here
        with Path(name).open("rb", buffering=0) as file:
            head = file.read(HEAD)
    except OSError as error:
        msg = f"{name}: cannot be read: {error.strerror}"
        raise BadInput(msg) from None
    if head.startswith(_JOURNAL):
        msg = f"{name}: is a binary journal: `journalctl --file={name} -o json --all | vitald scan -` reads it"
        raise BadInput(msg)
    compression = compressed(head)
    written = int.from_bytes(head[4:8], "little") if compression == "gzip" else 0  # RFC 1952: when the original was changed
    return Kind(compression, status.st_size, min(written or status.st_mtime, status.st_mtime), head)


def compressed(head: bytes) -> str:
    """Name the compression that data of this beginning has; empty: none that we know."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")


def stream(name: str, progress: Callable[[int], None]) -> Iterator[bytes]:
    """Give a compressed file's, or a pipe's, lines in blocks. Raises `Incomplete` after the last block that could be read."""
    with cast("Any", open(0 if name == STDIN else name, "rb", buffering=0, closefd=name != STDIN)) as raw:
        counted: Any = io.BufferedReader(_Counted(raw, progress), BLOCK)
        compression = compressed(counted.peek(8))
        try:
            reader = _reader(counted, compression)
        except BadInput as error:
            raise Incomplete(str(error)) from None
        damage = _errors(compression)
        carry, skipping = b"", False
        while True:
            try:
                data = reader.read1(BLOCK)
            except damage as error:
                if carry:
                    yield carry
                what = "ends in the middle" if isinstance(error, EOFError) else f"is damaged ({' '.join(str(error).split()):.80})"
                msg = f"its {compression or 'text'} data {what}; what stands before that was read"
                raise Incomplete(msg) from None
            if not data:
                break
            if skipping:
                _, newline, data = data.partition(b"\n")
                skipping = not newline
            carry += data
            if cut := whole_lines(carry) if len(carry) >= BLOCK // 2 else 0:
                yield carry[:cut]
                carry = carry[cut:]
            elif len(carry) >= LONGEST:
                yield carry[:HEAD] + b"\n"
                carry, skipping = b"", True
        if carry:
            yield carry


class _Counted(io.RawIOBase):
    """A raw file that tells how many bytes were read from it."""

    def __init__(self, raw: Any, progress: Callable[[int], None]) -> None:  # noqa: ANN401 — a FileIO
        self._raw, self._progress = raw, progress

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 — any writable buffer
        count = self._raw.readinto(buffer) or 0
        self._progress(count)
        return count


def _reader(raw: Any, compression: str) -> Any:  # noqa: ANN401 — four modules' files, alike in `read1`
    """Import what this file needs, and nothing else: `run` never comes here."""
    if compression == "gzip":
        import gzip  # noqa: PLC0415

        return gzip.GzipFile(fileobj=raw)
    if compression == "xz":
        import lzma  # noqa: PLC0415

        return lzma.LZMAFile(raw)
    if compression == "bzip2":
        import bz2  # noqa: PLC0415

        return bz2.BZ2File(raw)
    return zstd().ZstdFile(raw) if compression == "zstd" else raw


def zstd() -> Any:  # noqa: ANN401 — a module
    """Give the module that reads zstd; BadInput where this Python has none."""
    import importlib  # noqa: PLC0415

    for name in ("compression.zstd", "backports.zstd"):  # Python 3.14's own, and the same for older ones
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    msg = "this Python cannot read zstd; `zstd -dc FILE | vitald scan -` does"
    raise BadInput(msg)


def _errors(compression: str) -> tuple[type[Exception], ...]:
    """Name what a decompressor raises for damaged data."""
    own: list[type[Exception]] = []
    if compression == "gzip":
        import zlib  # noqa: PLC0415

        own = [zlib.error]
    elif compression == "xz":
        import lzma  # noqa: PLC0415

        own = [lzma.LZMAError]
    elif compression == "zstd":
        own = [zstd().ZstdError]
    return (EOFError, OSError, ValueError, *own)

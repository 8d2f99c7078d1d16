"""Compressed data as a stream of plain bytes with bounded memory: gzip, xz, bzip2 and zstd, detected by their first bytes."""

from __future__ import annotations

import importlib
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MAGIC = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd", b"\x5d\0\0": "lzma"}
MAGIC_BYTES = 6
_INPUT_BYTES = 1 << 16
MEMORY = 128 << 20  # bytes a decompressor's window may take: xz -9 needs 65 MB
_SMALLEST_WINDOW = 10  # log2; zstd's ZSTD_WINDOWLOG_ABSOLUTEMIN


class CompressionError(Exception):
    """The data ends early, is damaged, needs more memory than allowed, or this Python cannot read its format; the text says which."""


def detect(head: bytes) -> str:
    """Return the compression of data that begins with `head` (MAGIC_BYTES are enough): a format's name, or empty for none known."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")


def decompress(data: bytes, max_bytes: int, memory: int = MEMORY) -> bytes:
    """Decompress a whole file's content. Raises CompressionError, also where it is `max_bytes` long or longer."""
    parts, size = [], 0
    stream = Decompressor(io.BytesIO(data).read, memory)
    while part := stream.read(max_bytes - size):
        parts.append(part)
        size += len(part)
        if size >= max_bytes:
            raise CompressionError(f"larger than {max_bytes >> 20} MiB when decompressed")
    return b"".join(parts)


class Decompressor:
    """Plain bytes of compressed ones: any number of streams one after another, as `cat a.gz b.gz` makes them, NUL padding between them.

    `read` returns at most so many compressed bytes, none at their end. `memory` bounds the decompressor's window in bytes. Unless
    `concatenated`, the first stream's end is the end; what was read beyond it is in `unused`.
    """

    def __init__(self, read: Callable[[int], bytes], memory: int = MEMORY, *, concatenated: bool = True) -> None:
        """Read the first bytes. Raises CompressionError where no supported format begins with them."""
        self._read = read
        self._memory = memory
        self._concatenated = concatenated
        self.unused = read(_INPUT_BYTES)
        while 0 < len(self.unused) < MAGIC_BYTES and (more := read(_INPUT_BYTES)):
            self.unused += more
        self.format = detect(self.unused)
        self._stream: Any = self._new_stream()

    def read(self, max_bytes: int) -> bytes:
        """Return at most so many plain bytes, none at the end. Raises CompressionError."""
        while True:
            if self._stream.eof and not (self._concatenated and self._next_stream()):
                return b""
            data = self.unused or (self._read(_INPUT_BYTES) if self._needs_input() else b"")
            try:
                plain = self._stream.decompress(data, max_bytes)
            except Exception as error:  # noqa: BLE001 — zlib.error, LZMAError, ZstdError, MemoryError: each library's own
                raise CompressionError(" ".join(str(error).split()) or type(error).__name__) from None
            # lzma, bz2 and zstd keep what they did not consume until a stream ends
            self.unused = bytes(self._stream.unused_data if self._stream.eof else getattr(self._stream, "unconsumed_tail", b""))
            if plain:
                return bytes(plain)
            if not data and not self._stream.eof and self._needs_input():
                raise CompressionError("ends in the middle")

    def _needs_input(self) -> bool:
        return bool(getattr(self._stream, "needs_input", True))  # zlib's has no such attribute; it returns what it did not take

    def _next_stream(self) -> bool:
        self.unused = self.unused.lstrip(b"\0")
        while not self.unused and (more := self._read(_INPUT_BYTES)):
            self.unused = more.lstrip(b"\0")
        if self.unused:
            self._stream = self._new_stream()
        return bool(self.unused)

    def _new_stream(self) -> Any:  # noqa: ANN401 — four modules' classes, alike in `decompress`
        """Create a decompressor; each module is imported only where its format is met."""
        if self.format == "gzip":
            return importlib.import_module("zlib").decompressobj(31)
        if self.format in {"xz", "lzma"}:
            return importlib.import_module("lzma").LZMADecompressor(memlimit=self._memory)
        if self.format == "bzip2":
            return importlib.import_module("bz2").BZ2Decompressor()
        if self.format == "zstd":
            zstd = zstd_module()
            window = max(self._memory.bit_length() - 1, _SMALLEST_WINDOW)
            return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: min(window, 31)})
        raise CompressionError("neither gzip, xz, bzip2 nor zstd" if self.unused else "the file is empty")


def zstd_module() -> Any:  # noqa: ANN401 — a module
    """Import the module that reads zstd: Python's own from 3.14 on, else its backport. Raises CompressionError where there is none."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise CompressionError("this Python cannot read zstd; `zstd -dc FILE` can")

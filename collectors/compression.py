"""Compressed data as a stream of plain bytes with bounded memory: gzip, xz, bzip2 and zstd, detected by their first bytes."""

from __future__ import annotations

import importlib
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
    stream = Decompressor(iter_once(data), memory)
    while part := stream.read(max_bytes - size):
        parts.append(part)
        size += len(part)
        if size >= max_bytes:
            raise CompressionError(f"larger than {max_bytes >> 20} MiB when decompressed")
    return b"".join(parts)


def iter_once(data: bytes) -> Callable[[int], bytes]:
    """Return a read function over bytes in memory, for Decompressor."""
    view, offset = memoryview(data), 0

    def read(size: int) -> bytes:
        nonlocal offset
        part = bytes(view[offset : offset + size])
        offset += len(part)
        return part

    return read


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
        self._input = read(_INPUT_BYTES)
        while 0 < len(self._input) < MAGIC_BYTES and (more := read(_INPUT_BYTES)):
            self._input += more
        self.format = detect(self._input)
        self._stream: Any = self._new_stream()

    @property
    def unused(self) -> bytes:
        """Compressed input that was read and is not consumed yet."""
        return self._input

    def read(self, max_bytes: int) -> bytes:
        """Return at most so many plain bytes, none at the end. Raises CompressionError."""
        while True:
            if self._stream.eof and not (self._concatenated and self._next_stream()):
                return b""
            data = self._take()
            try:
                plain = self._stream.decompress(data, max_bytes)
            except Exception as error:  # noqa: BLE001 — zlib.error, LZMAError, ZstdError, MemoryError: each library's own
                raise CompressionError(" ".join(str(error).split()) or type(error).__name__) from None
            self._input = self._rest()
            if plain:
                return bytes(plain)
            if not data and not self._stream.eof and self._needs_input():
                raise CompressionError("ends in the middle")

    def _take(self) -> bytes:
        """Return the next input: what the stream before left, else new bytes; none where the decompressor has enough."""
        if self._input:
            return self._input
        return self._read(_INPUT_BYTES) if self._needs_input() else b""

    def _needs_input(self) -> bool:
        return bool(getattr(self._stream, "needs_input", True))  # zlib's has no such attribute; it returns what it did not take

    def _rest(self) -> bytes:
        """Return the input that was not consumed: lzma, bz2 and zstd keep it to themselves until a stream ends."""
        if self._stream.eof:
            return bytes(self._stream.unused_data)
        return bytes(getattr(self._stream, "unconsumed_tail", b""))

    def _next_stream(self) -> bool:
        rest = self._input.lstrip(b"\0")
        while not rest and (more := self._read(_INPUT_BYTES)):
            rest = more.lstrip(b"\0")
        self._input = rest
        if not rest:
            return False
        self._stream = self._new_stream()
        return True

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
        raise CompressionError("neither gzip, xz, bzip2 nor zstd" if self._input else "the file is empty")


def zstd_module() -> Any:  # noqa: ANN401 — a module
    """Import the module that reads zstd: Python's own from 3.14 on, else its backport. Raises CompressionError where there is none."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise CompressionError("this Python cannot read zstd; `zstd -dc FILE` can")

"""Compressed files as a stream of text with bounded memory: for the daemon, which must not grow for a file that somebody packed well."""

from __future__ import annotations

import importlib
import os
from typing import Any

from collectors.logs.scan import archive
from collectors.model import BadInput

MEMORY_LOG = 23  # 8 MiB for a decompressor's window: xz -6 and zstd -19 need no more
_PIECE = 1 << 16  # bytes read of the file at once


class _DamageError(Exception):
    """The data ends early, is nonsense, or needs more memory than it gets."""


DAMAGE = (_DamageError, OSError, BadInput)


class Unpacked:
    """The text of a compressed file: any number of streams one behind another, as `cat a.gz b.gz` makes them."""

    def __init__(self, descriptor: int) -> None:
        """Begin at the file's start, whatever was read of it before; one of DAMAGE where it is not compressed as we know it."""
        self._descriptor = descriptor
        self._at = 0
        self._input = b""
        self._compression = archive.compressed(os.pread(descriptor, 8, 0))
        self._stream: Any = None
        self._size = os.fstat(descriptor).st_size
        self._new_stream()

    @property
    def left(self) -> int:
        """Give the packed bytes that are still to come."""
        return max(0, self._size - self._at) + len(self._input)

    def give_up(self) -> None:
        """Read no more of it."""
        self._size, self._input = 0, b""

    def read(self, most: int) -> bytes:
        """Unpack at most so many bytes; none at the end. One of DAMAGE."""
        while True:
            if self._stream.eof and not self._next_stream():
                return b""
            try:
                text = self._stream.decompress(self._take(), most)
            except Exception as error:  # noqa: BLE001 — zlib.error, LZMAError, ZstdError: each library's own
                raise _DamageError(str(error)) from None
            self._input = self._rest()
            if text:
                return bytes(text)
            if not self._stream.eof and not self._input and self._at >= self._size and self._hungry():
                raise _DamageError("ends in the middle")

    def _take(self) -> bytes:
        """Give the next input: what is left over, else a piece of the file; none where the decompressor has enough."""
        if not self._input and self._hungry():
            self._input = os.pread(self._descriptor, _PIECE, self._at)
            self._at += len(self._input)
            if not self._input:
                self._at = max(self._at, self._size)
        return self._input

    def _hungry(self) -> bool:
        return bool(getattr(self._stream, "needs_input", True))  # zlib's has no such thing, and gives back what it did not take

    def _rest(self) -> bytes:
        """Say what of the input was not taken: lzma, bz2 and zstd keep it for themselves until a stream ends."""
        if self._stream.eof:
            return bytes(self._stream.unused_data)
        return bytes(getattr(self._stream, "unconsumed_tail", b""))

    def _next_stream(self) -> bool:
        rest = self._input or os.pread(self._descriptor, _PIECE, self._at)
        self._at += 0 if self._input else len(rest)
        self._input = rest.lstrip(b"\0")  # xz and tar pad with NULs
        if not self._input:
            return False
        self._new_stream()
        return True

    def _new_stream(self) -> None:
        if self._compression == "gzip":
            self._stream = importlib.import_module("zlib").decompressobj(31)
        elif self._compression == "xz":
            self._stream = importlib.import_module("lzma").LZMADecompressor(memlimit=2 << MEMORY_LOG)
        elif self._compression == "bzip2":
            self._stream = importlib.import_module("bz2").BZ2Decompressor()
        elif self._compression == "zstd":
            zstd = archive.zstd()
            self._stream = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: MEMORY_LOG})
        else:
            raise _DamageError("is not compressed as we know it")

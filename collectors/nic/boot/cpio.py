"""The archives that an initramfs is made of: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.

Any number of cpio archives (newc), one behind another, each plain (early microcode) or compressed, with NULs between them. All reading is
a piece at a time, and bounded.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_TEXT = 4 << 30  # bytes unpacked altogether: the largest initramfs we know of unpacks to 600 MB
MEMORY = 128 << 20  # of a decompressor
_PIECE = 1 << 18
_PLAIN = (b"070701", b"070702")
_TRAILER = "TRAILER!!!"
_MOST_NAME = 4096
_COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\0": "xz",
    b"\x5d\0\0": "lzma",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\x02\x21\x4c\x18": "lz4",
    b"\x89LZO": "lzo",
}


class BadArchive(Exception):  # noqa: N818 — not our failure: the file is no initramfs, or one we cannot read; the text says why
    """The file ends too early, is damaged, or is packed in a way we cannot unpack."""


class Member(NamedTuple):
    """A file in an archive: its name, its size, and what reads it; what is not read is passed over."""

    name: str
    size: int
    read: Callable[[], bytes]


class Stream:
    """Bytes that come in pieces."""

    def __init__(self, more: Callable[[], bytes]) -> None:
        self._more, self._here, self._passed = more, b"", 0

    def take(self) -> bytes:
        """Give whatever there is next; nothing at the end."""
        here, self._here = self._here or self._more(), b""
        return here

    def put_back(self, data: bytes) -> None:
        """Let these bytes come next."""
        self._here = data + self._here

    def peek(self, size: int) -> bytes:
        """Show the next bytes, fewer only at the end."""
        while len(self._here) < size and (more := self._more()):
            self._here += more
        return self._here[:size]

    def read(self, size: int) -> bytes:
        """Give exactly so many."""
        found = self.peek(size)
        if len(found) < size:
            raise BadArchive("it ends in the middle")
        self.skip(size)
        return found

    def skip(self, size: int) -> None:
        """Pass over so many."""
        self._passed += size
        if self._passed > MOST_TEXT:
            raise BadArchive(f"it unpacks to more than {MOST_TEXT >> 30} GiB")
        while size > len(self._here):
            size -= len(self._here)
            self._here = self._more()
            if not self._here:
                raise BadArchive("it ends in the middle")
        self._here = self._here[size:]

    def skip_nuls(self) -> None:
        """Pass over padding."""
        while (here := self.peek(1)) == b"\0":
            here = self.take()
            self.put_back(here.lstrip(b"\0"))


def members(stream: Stream) -> Iterator[Member]:
    """Give every member of every archive, in their order; BadArchive after the last one that could be read."""
    while True:
        stream.skip_nuls()
        head = stream.peek(6)
        if not head:
            return
        if head in _PLAIN:
            yield from _archive(stream)
            continue
        compression = next((name for magic, name in _COMPRESSIONS.items() if head.startswith(magic)), "")
        if not compression:
            raise BadArchive("it is no archive that we know")
        inner = Stream(_unpacked(stream, _decompressor(compression), compression))
        yield from members(inner)


def _archive(stream: Stream) -> Iterator[Member]:
    """Read one newc archive (cpio(5))."""
    while True:
        size, length = _sizes(stream.read(110))
        name = stream.read(length + -(110 + length) % 4)[: length - 1].decode("utf-8", "replace")
        if name == _TRAILER:
            stream.skip(size + -size % 4)
            return
        left = [size]

        def read(left: list[int] = left) -> bytes:
            left[0], wanted = 0, left[0]
            return stream.read(wanted)

        yield Member(name, size, read)
        stream.skip(left[0] + -size % 4)


def _sizes(header: bytes) -> tuple[int, int]:
    """Give the lengths of a member's content and of its name: all fields are eight hexadecimal digits."""
    try:
        size, length = int(header[54:62], 16), int(header[94:102], 16)
    except ValueError:
        size = length = -1
    if header[:6] not in _PLAIN or size < 0 or not 0 < length <= _MOST_NAME:
        raise BadArchive("a header in it makes no sense")
    return size, length


def _unpacked(outer: Stream, decompressor: Any, name: str) -> Callable[[], bytes]:  # noqa: ANN401 — four libraries' objects, alike
    def more() -> bytes:
        while not decompressor.eof:
            data = b"" if not getattr(decompressor, "needs_input", True) else getattr(decompressor, "unconsumed_tail", b"") or outer.take()
            try:
                text = decompressor.decompress(data, _PIECE)
            except Exception as error:  # noqa: BLE001 — zlib.error, LZMAError, ZstdError, OSError: each library's own
                raise BadArchive(f"its {name} data is damaged: {error}") from None
            if decompressor.eof:
                outer.put_back(decompressor.unused_data)
            if text:
                return bytes(text)
            if not data and not decompressor.eof and getattr(decompressor, "needs_input", True):
                raise BadArchive("it ends in the middle")
        return b""

    return more


def _decompressor(compression: str) -> Any:  # noqa: ANN401
    if compression == "gzip":
        return importlib.import_module("zlib").decompressobj(31)
    if compression in {"xz", "lzma"}:
        return importlib.import_module("lzma").LZMADecompressor(memlimit=MEMORY)
    if compression == "bzip2":
        return importlib.import_module("bz2").BZ2Decompressor()
    if compression == "zstd":
        return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd").ZstdDecompressor()
    raise BadArchive(f"it is packed with {compression}, which this Python cannot unpack")

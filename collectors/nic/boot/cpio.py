"""Archives of an initramfs: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.

Any number of cpio archives (newc), one after another, each plain (early microcode) or compressed, with NUL padding between them. They are
read in pieces, and bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from collectors.compression import MAGIC_BYTES, CompressionError, Decompressor, detect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_UNPACKED = 4 << 30  # bytes; the largest initramfs known unpacks to 600 MB
_PIECE = 1 << 18
_NEWC = (b"070701", b"070702")
_TRAILER = "TRAILER!!!"
_MAX_NAME = 4096
_UNSUPPORTED = {b"\x02\x21\x4c\x18": "lz4", b"\x89LZO": "lzo"}


class InvalidArchive(Exception):  # noqa: N818 — not vitald's failure: the file is no initramfs, or an unsupported one; the text says why
    """The file ends early, is damaged, or is packed in an unsupported format."""


class ArchiveMember(NamedTuple):
    """A file in an archive: its name, its size in bytes, and a function that reads it; what is not read is skipped."""

    name: str
    size: int
    read: Callable[[], bytes]


class Stream:
    """Buffered byte stream over a read function, which returns at most so many bytes, none at the end."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read, self._buffer, self._consumed = read, b"", 0

    def read_some(self, size: int) -> bytes:
        """Return up to `size` bytes, none at the end."""
        data = self._buffer or self._read(size)
        self._buffer = data[size:]
        return data[:size]

    def put_back(self, data: bytes) -> None:
        """Insert bytes before the next ones."""
        self._buffer = data + self._buffer

    def peek(self, size: int) -> bytes:
        """Return the next bytes without consuming them, fewer only at the end."""
        while len(self._buffer) < size and (more := self._read(_PIECE)):
            self._buffer += more
        return self._buffer[:size]

    def read(self, size: int) -> bytes:
        """Return exactly so many bytes."""
        data = self.peek(size)
        if len(data) < size:
            raise InvalidArchive("it ends in the middle")
        self.skip(size)
        return data

    def skip(self, size: int) -> None:
        """Consume so many bytes."""
        self._consumed += size
        if self._consumed > MAX_UNPACKED:
            raise InvalidArchive(f"it unpacks to more than {MAX_UNPACKED >> 30} GiB")
        while size > len(self._buffer):
            size -= len(self._buffer)
            self._buffer = self._read(_PIECE)
            if not self._buffer:
                raise InvalidArchive("it ends in the middle")
        self._buffer = self._buffer[size:]

    def skip_nuls(self) -> None:
        """Consume padding."""
        while self.peek(1) == b"\0":
            self._buffer = self._buffer.lstrip(b"\0")


def members(stream: Stream) -> Iterator[ArchiveMember]:
    """Return every member of every archive, in order. Raises InvalidArchive after the last one that could be read."""
    while True:
        stream.skip_nuls()
        if not (head := stream.peek(MAGIC_BYTES)):
            return
        if head in _NEWC:
            yield from _archive(stream)
            continue
        if unsupported := next((name for magic, name in _UNSUPPORTED.items() if head.startswith(magic)), ""):
            raise InvalidArchive(f"it is packed with {unsupported}, which is not supported")
        if not detect(head):
            raise InvalidArchive("it is no known archive")
        yield from _compressed_members(stream, detect(head))


def _compressed_members(stream: Stream, name: str) -> Iterator[ArchiveMember]:
    decompressor: Decompressor | None = None

    def read(size: int) -> bytes:
        nonlocal decompressor
        try:
            decompressor = decompressor or Decompressor(stream.read_some, concatenated=False)
            return decompressor.read(size)
        except CompressionError as error:
            raise InvalidArchive(f"its {name} data is damaged: {error}") from None

    yield from members(Stream(read))
    if decompressor is not None:
        stream.put_back(decompressor.unused)


def _archive(stream: Stream) -> Iterator[ArchiveMember]:
    """Return the members of one newc archive (cpio(5))."""
    while True:
        size, name_size = _sizes(stream.read(110))
        name = stream.read(name_size + -(110 + name_size) % 4)[: name_size - 1].decode("utf-8", "replace")
        if name == _TRAILER:
            stream.skip(size + -size % 4)
            return
        left = [size]

        def read(left: list[int] = left) -> bytes:
            left[0], wanted = 0, left[0]
            return stream.read(wanted)

        yield ArchiveMember(name, size, read)
        stream.skip(left[0] + -size % 4)


def _sizes(header: bytes) -> tuple[int, int]:
    """Return c_filesize and c_namesize: all fields are eight hexadecimal digits."""
    try:
        size, name_size = int(header[54:62], 16), int(header[94:102], 16)
    except ValueError:
        size = name_size = -1
    if header[:6] not in _NEWC or size < 0 or not 0 < name_size <= _MAX_NAME:
        raise InvalidArchive("a header in it is invalid")
    return size, name_size

"""A kernel module's own words: the `.modinfo` section of its ELF file (elf(5); include/linux/moduleinfo.h), plain or compressed.

Only little- and big-endian ELF64 relocatable files are read: what x86-64 and aarch64 kernels load. All reading is bounded.
"""

from __future__ import annotations

import importlib
import lzma
import struct
import sys
import zlib
from typing import TYPE_CHECKING, Protocol

from collectors.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MOST_BYTES = 64 << 20  # the largest module of Debian's and Ubuntu's kernels (amdgpu) has about 30 MB
_LZMA_MEMORY = 128 << 20
_SECTION = struct.Struct("IIQQQQIIQQ")
_MOST_SECTIONS = 4096
_MOST_MODINFO = 1 << 20
_RELOCATABLE = 1
_MACHINES = {"x86_64": 62, "aarch64": 183}  # elf.h: EM_X86_64, EM_AARCH64


class Unreadable(Exception):  # noqa: N818 — not our failure: the file is no module we can read; the text says why
    """The file is no kernel module, or is broken, or is too large."""


class _Stream(Protocol):
    """What lzma's, zlib's and zstd's decompressors have in common."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Give at most that many bytes."""


def read_modinfo(path: Path, machine: str = "") -> Mapping[str, str]:
    """Read a module file's tags: `version`, `srcversion`, `vermagic`, `intree`, …; of a repeated tag the first one counts.

    `machine` (`x86_64`, `aarch64`) refuses what was built for another architecture.

    Raises Unreadable with the reason, OSError where it cannot be opened or is no regular file.
    """
    return understand(path.name, _load(path), machine)


def understand(name: str, data: bytes, machine: str = "") -> Mapping[str, str]:
    """Read the tags of a module file's content, compressed or not; `name` is what Unreadable calls it."""
    return parse_modinfo(_expand(name, data), machine)


def _load(path: Path) -> bytes:
    data = read_regular(path, MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        msg = f"larger than {MOST_BYTES >> 20} MiB"
        raise Unreadable(msg)
    return data


def _expand(name: str, data: bytes) -> bytes:
    """Undo the compression that the content (not the name) speaks of."""
    if data.startswith(b"\x7fELF"):
        return data
    try:
        whole = _stream(data).decompress(data, MOST_BYTES)
    except (lzma.LZMAError, zlib.error, MemoryError, ValueError, EOFError) as error:
        msg = f"cannot decompress {name}: {error or type(error).__name__}"
        raise Unreadable(msg) from error
    except Exception as error:
        if type(error).__name__ != "ZstdError":  # its module is imported only where a .zst is met
            raise
        msg = f"cannot decompress {name}: {error}"
        raise Unreadable(msg) from error
    if len(whole) >= MOST_BYTES:
        msg = f"{name} is larger than {MOST_BYTES >> 20} MiB when decompressed"
        raise Unreadable(msg)
    return whole


def _stream(data: bytes) -> _Stream:
    if data.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY)
    if data.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(wbits=31)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return _zstd()
    msg = "neither ELF nor gzip, xz or zstd" if data else "the file is empty"
    raise Unreadable(msg)


def _zstd() -> _Stream:
    """Give zstd's decompressor: Python's own from 3.14 on, before that its backport. Only hosts with .ko.zst pay for the import."""
    library = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    found: _Stream = library.ZstdDecompressor()
    return found


def parse_modinfo(elf: bytes, machine: str = "") -> dict[str, str]:
    """Find `.modinfo` among the sections and read its tags; Unreadable where the file ends too early or is of another kind."""
    if not elf.startswith(b"\x7fELF\x02"):
        msg = "not a 64-bit ELF file"
        raise Unreadable(msg)
    order = {1: "<", 2: ">"}.get(elf[5] if len(elf) > 5 else 0)  # noqa: PLR2004 — EI_DATA
    try:
        if order is None or struct.unpack_from(order + "H", elf, 16)[0] != _RELOCATABLE:
            msg = "not a relocatable ELF file"
            raise Unreadable(msg)
        if machine in _MACHINES and struct.unpack_from(order + "H", elf, 18)[0] != _MACHINES[machine]:
            msg = f"built for another architecture than {machine}"
            raise Unreadable(msg)
        table, size, count, names_at = (*struct.unpack_from(order + "Q", elf, 40), *struct.unpack_from(order + "HHH", elf, 58))
        if count > _MOST_SECTIONS or size != _SECTION.size:
            msg = "its section table makes no sense"
            raise Unreadable(msg)
        section = struct.Struct(order + _SECTION.format)
        sections = [section.unpack_from(elf, table + size * at) for at in range(count)]
        _, _, _, _, start, length, *_ = sections[names_at]
        names = elf[start : start + length]
        for name, _, _, _, begin, extent, *_ in sections:
            if names[name : name + 9] == b".modinfo\0":
                return _tags(elf, begin, extent)
    except (struct.error, IndexError) as error:
        msg = "the file is truncated"
        raise Unreadable(msg) from error
    msg = "it has no .modinfo: not a kernel module"
    raise Unreadable(msg)


def _tags(elf: bytes, begin: int, extent: int) -> dict[str, str]:
    if extent > _MOST_MODINFO or begin + extent > len(elf):
        msg = "the file is truncated"
        raise Unreadable(msg)
    tags: dict[str, str] = {}
    for part in elf[begin : begin + extent].split(b"\0"):
        tag, equals, value = part.partition(b"=")
        if equals:
            tags.setdefault(tag.decode("utf-8", "replace"), value.decode("utf-8", "replace"))
    return tags

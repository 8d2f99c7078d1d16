"""Parser of a kernel module's `.modinfo` section (elf(5); include/linux/moduleinfo.h), of plain and compressed files.

Only little- and big-endian ELF64 relocatable files are read: what x86-64 and aarch64 kernels load. All reads are bounded.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from collectors.compression import MAGIC_BYTES, CompressionError, decompress, detect
from collectors.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_BYTES = 64 << 20  # the largest module of Debian's and Ubuntu's kernels (amdgpu) has about 30 MB
_ELF = b"\x7fELF"
_COMPRESSIONS = frozenset({"gzip", "xz", "zstd"})  # those that kmod reads
_SECTION = struct.Struct("IIQQQQIIQQ")
_MAX_SECTIONS = 4096
_MAX_MODINFO = 1 << 20
_ET_REL = 1
_MACHINES = {"x86_64": 62, "aarch64": 183}  # elf.h: EM_X86_64, EM_AARCH64


class InvalidModule(Exception):  # noqa: N818 — not vitald's failure: the file is no readable module; the text says why
    """The file is no kernel module, or is broken, or is too large."""


def read_modinfo(path: Path, machine: str = "") -> Mapping[str, str]:
    """Read a module file's tags: `version`, `srcversion`, `vermagic`, `intree`, …; of a repeated tag the first one counts.

    `machine` (`x86_64`, `aarch64`) refuses what was built for another architecture.

    Raises InvalidModule with the reason, OSError where the file cannot be opened or is no regular file.
    """
    data = read_regular(path, MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InvalidModule(f"larger than {MAX_BYTES >> 20} MiB")
    return parse_module(path.name, data, machine)


def parse_module(name: str, data: bytes, machine: str = "") -> Mapping[str, str]:
    """Parse the tags of a module file's content, compressed or not; `name` is the file's name in InvalidModule's text."""
    if not data.startswith(_ELF):
        if detect(data[:MAGIC_BYTES]) not in _COMPRESSIONS:
            raise InvalidModule("neither ELF nor gzip, xz or zstd" if data else "the file is empty")
        try:
            data = decompress(data, MAX_BYTES)
        except CompressionError as error:
            raise InvalidModule(f"cannot decompress {name}: {error}") from None
    return parse_modinfo(data, machine)


def parse_modinfo(elf: bytes, machine: str = "") -> dict[str, str]:
    """Parse the tags of the `.modinfo` section. Raises InvalidModule where the file ends early or is of another kind."""
    if not elf.startswith(b"\x7fELF\x02"):
        raise InvalidModule("not a 64-bit ELF file")
    order = {1: "<", 2: ">"}.get(elf[5] if len(elf) > 5 else 0)  # noqa: PLR2004 — EI_DATA
    try:
        if order is None or struct.unpack_from(order + "H", elf, 16)[0] != _ET_REL:
            raise InvalidModule("not a relocatable ELF file")
        if machine in _MACHINES and struct.unpack_from(order + "H", elf, 18)[0] != _MACHINES[machine]:
            raise InvalidModule(f"built for another architecture than {machine}")
        table, size, count, names_index = (*struct.unpack_from(order + "Q", elf, 40), *struct.unpack_from(order + "HHH", elf, 58))
        if count > _MAX_SECTIONS or size != _SECTION.size:
            raise InvalidModule("its section table is invalid")
        section = struct.Struct(order + _SECTION.format)
        sections = [section.unpack_from(elf, table + size * index) for index in range(count)]
        _, _, _, _, start, length, *_ = sections[names_index]
        names = elf[start : start + length]
        for name, _, _, _, begin, extent, *_ in sections:
            if names[name : name + 9] == b".modinfo\0":
                return _tags(elf, begin, extent)
    except (struct.error, IndexError, OverflowError) as error:  # the last: an offset beyond what an index can be
        raise InvalidModule("the file is truncated") from error
    raise InvalidModule("it has no .modinfo: not a kernel module")


def _tags(elf: bytes, begin: int, extent: int) -> dict[str, str]:
    if extent > _MAX_MODINFO or begin + extent > len(elf):
        raise InvalidModule("the file is truncated")
    tags: dict[str, str] = {}
    for part in elf[begin : begin + extent].split(b"\0"):
        tag, equals, value = part.partition(b"=")
        if equals:
            tags.setdefault(tag.decode("utf-8", "replace"), value.decode("utf-8", "replace"))
    return tags

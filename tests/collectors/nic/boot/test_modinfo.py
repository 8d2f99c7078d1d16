"""Module files of two real kernels, whole and damaged."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import random
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.nic.boot.kernels import releases
from collectors.nic.boot.modinfo import InvalidModule, parse_modinfo, read_modinfo
from tests.kit.kernel_packages import MACHINE, MODULES

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize("driver", MODULES)
def test_tags_equal_those_of_modinfo(kernels: Path, driver: str) -> None:
    for release in releases(kernels):
        path = kernels / "lib/modules" / release / MODULES[driver]
        tags = read_modinfo(path, MACHINE)
        assert tags["name"] == driver
        assert tags["intree"] == "Y"
        assert tags["vermagic"].split()[0] == release
        if shutil.which("modinfo"):
            printed = subprocess.run(["modinfo", "-F", "vermagic", path], check=True, capture_output=True, text=True).stdout
            assert printed.strip() == tags["vermagic"].strip()


@pytest.mark.parametrize("suffix", ["gz", "xz", pytest.param("zst", marks=pytest.mark.needs("zstd"))])
def test_compressed_modules_have_the_same_tags(kernels: Path, tmp_path: Path, suffix: str) -> None:
    plain = kernels / "lib/modules" / releases(kernels)[0] / MODULES["ena"]
    packed = tmp_path / f"ena.ko.{suffix}"
    if suffix == "zst":
        subprocess.run(["zstd", "-q", plain, "-o", packed], check=True)
    else:
        packed.write_bytes((gzip if suffix == "gz" else lzma).compress(plain.read_bytes()))
    assert read_modinfo(packed) == read_modinfo(plain)


def test_a_bomb_is_refused_within_bounds(tmp_path: Path) -> None:
    bomb = tmp_path / "ena.ko.xz"
    bomb.write_bytes(lzma.compress(bytes(200 << 20), preset=0))
    with pytest.raises(InvalidModule, match="larger than 64 MiB when decompressed"):
        read_modinfo(bomb)


def broken_modules(kernels: Path) -> Iterator[tuple[str, bytes]]:
    whole = (kernels / "lib/modules" / releases(kernels)[0] / MODULES["xen_netfront"]).read_bytes()
    yield "the file is empty", b""
    yield "truncated", whole[: len(whole) // 2]
    yield "truncated", whole[:70]
    yield "neither ELF", b"#!/bin/sh\n"
    yield "not a 64-bit ELF", b"\x7fELF\x01" + whole[5:]
    yield "truncated", whole[:40] + b"\xfc" * 8 + whole[48:]  # the section table is beyond any file's end
    yield "cannot decompress", gzip.compress(whole)[:1000] and b"\x1f\x8b" + bytes(50)
    yield "cannot decompress", lzma.compress(whole)[:40] + bytes(100)
    yield "not a relocatable", Path("/proc/self/exe").read_bytes()


def test_files_that_are_no_modules_are_refused_with_a_reason(kernels: Path, tmp_path: Path) -> None:
    for reason, content in broken_modules(kernels):
        path = tmp_path / "ena.ko"
        path.write_bytes(content)
        with pytest.raises(InvalidModule, match=reason):
            read_modinfo(path)


def test_a_module_of_another_architecture_is_refused(kernels: Path) -> None:
    path = kernels / "lib/modules" / releases(kernels)[0] / MODULES["ena"]
    with pytest.raises(InvalidModule, match="another architecture"):
        read_modinfo(path, "aarch64" if MACHINE == "x86_64" else "x86_64")


def test_damage_to_a_module_raises_no_other_exception(kernels: Path) -> None:
    whole = (kernels / "lib/modules" / releases(kernels)[0] / MODULES["xen_netfront"]).read_bytes()
    dice = random.Random(4)  # noqa: S311 — the same damage each time
    for _ in range(400):
        damaged = bytearray(whole[: dice.randint(1, len(whole))])
        for _ in range(dice.randint(0, 8)):
            damaged[dice.randrange(min(len(damaged), 4096))] = dice.randrange(256)
        with contextlib.suppress(InvalidModule):
            parse_modinfo(bytes(damaged))

"""vitald's parsers beside the programs of the format's owners, on the same bytes: modinfo (kmod), and gzip, xz, bzip2 and zstd."""

from __future__ import annotations

import random
import subprocess
from typing import TYPE_CHECKING

import pytest

from collectors.compression import CompressionError, decompress
from collectors.nic.boot.modinfo import InvalidModule, parse_module
from tests.fuzz import corpus
from tests.fuzz.registry import targets

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.fault(168)
PROGRAMS = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd"}
MUTANTS = 60


def inputs(name: str) -> list[bytes]:
    """Return a target's seeds and kept inputs, and mutants of them: the same in each run."""
    whole = [data for data in (*targets()[name].seeds(), *corpus.load(name)) if data]
    dice = random.Random(168)  # noqa: S311 — the same mutants in each run
    mutants = []
    for _ in range(MUTANTS):
        data = bytearray(dice.choice(whole))
        for _ in range(dice.randint(1, 3)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        mutants.append(bytes(data[: dice.randint(1, len(data))] if dice.random() < 0.3 else data))
    return [*whole, *mutants]


@pytest.mark.needs("modinfo")
def test_modinfo_reads_the_same_tags(tmp_path: Path) -> None:
    """What kmod refuses (it checks more of the file) is not compared; the first of repeated tags counts in both."""
    compared = 0
    for data in inputs("boot.modinfo"):
        if not data.startswith(b"\x7fELF"):
            continue
        try:
            ours = dict(parse_module("x.ko", data))
        except InvalidModule:
            continue
        path = tmp_path / "x.ko"
        path.write_bytes(data)
        for tag in ("version", "srcversion", "vermagic"):
            done = subprocess.run(["modinfo", "-0", "-F", tag, path], capture_output=True, check=False)
            if done.returncode == 0:
                theirs = done.stdout.split(b"\0")[0].decode("utf-8", "replace")
                assert ours.get(tag, "") == theirs, (tag, data)
                compared += 1
    assert compared > 10


@pytest.mark.needs("gzip", "xz", "bzip2", "zstd")
def test_the_programs_decompress_the_same_bytes() -> None:
    """What vitald accepts, the program accepts: the damage is found by both."""
    compared = 0
    for data in inputs("logs.compression"):
        program = next((name for magic, name in PROGRAMS.items() if data.startswith(magic)), "")
        if not program:
            continue
        try:
            ours = decompress(data, 1 << 20)
        except CompressionError:
            continue
        done = subprocess.run([program, "-dcq"], input=data, capture_output=True, check=False)
        assert done.returncode in {0, 2}, (program, data)  # 2: gzip warns of padding
        assert ours.startswith(done.stdout), (program, data)  # bzip2 reads no stream after padding
        compared += 1
    assert compared > 8

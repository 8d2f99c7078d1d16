"""Logs that were rotated and compressed while we were stopped, by the programs that do it."""

from __future__ import annotations

import os
import subprocess
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from collectors.logs.tailing.decompressor import DAMAGE, Unpacked
from tests.collectors.logs.tailing.followed_file import Watch, append, numbered, while_stopped, written

if TYPE_CHECKING:
    from pathlib import Path

PACKERS = [("gzip", ".gz"), ("xz", ".xz"), ("zstd", ".zst"), ("bzip2", ".bz2")]


def pack(path: Path, program: str = "gzip") -> None:
    options = ["--rm"] if program == "zstd" else []
    subprocess.run([program, "-q", *options, str(path)], check=True)


@pytest.mark.fault(23)
@pytest.mark.needs("gzip", "xz", "zstd", "bzip2")
@pytest.mark.parametrize(("program", "suffix"), PACKERS)
@pytest.mark.parametrize("read", [0, 3])
def test_what_was_rotated_and_compressed_while_we_were_stopped_is_read_to_its_end(
    watch: Watch, program: str, suffix: str, read: int
) -> None:
    append(watch.path, written(0, read))
    watch.look()

    def rotate() -> None:
        append(watch.path, written(read, 60_000) + b"unfinished")
        watch.path.rename(f"{watch.path}.1")
        pack(watch.path.with_name("syslog.1"), program)
        append(watch.path, b"new\n")

    while_stopped(watch, rotate)
    assert watch.path.with_name(f"syslog.1{suffix}").exists()
    assert sorted(watch.lines[60_000:]) == [b"new", b"unfinished"]
    assert watch.lines[:60_000] == numbered(0, 60_000)
    assert not watch.lost


@pytest.mark.fault(23)
@pytest.mark.needs("gzip")
def test_of_several_rotations_each_compressed_file_is_read_once_and_older_ones_not_at_all(watch: Watch) -> None:
    older = watch.path.with_name("syslog.7")
    older.write_bytes(written(900, 950))
    os.utime(older, (1e9, 1e9))
    pack(older)
    append(watch.path, written(0, 3))
    watch.look()

    def rotate() -> None:
        for number, (start, stop) in ((3, (3, 6)), (2, (6, 9)), (1, (9, 12))):
            append(watch.path, written(start, stop))
            watch.path.rename(f"{watch.path}.{number}")
            if number > 1:  # delaycompress
                pack(watch.path.with_name(f"syslog.{number}"))
        append(watch.path, written(12, 15))

    while_stopped(watch, rotate)
    assert watch.lines == numbered(0, 15)
    assert not watch.lost
    watch.restart()
    watch.settle()
    assert watch.lines == numbered(0, 15)


@pytest.mark.fault(23)
@pytest.mark.needs("gzip")
def test_it_is_read_where_the_path_is_missing_too_and_over_a_restart_in_between(watch: Watch) -> None:
    append(watch.path, written(0, 3))
    watch.look()
    saved = watch.follower.save()
    watch.follower.close()
    append(watch.path, written(3, 100_000))
    watch.path.rename(f"{watch.path}-20261121")
    pack(watch.path.with_name("syslog-20261121"))
    watch.follower = type(watch.follower)(str(watch.path), watch.follower._lose, saved)
    watch.follower.look(1.0)
    for block in watch.follower.read(2):  # two blocks of many, then stopped
        watch.lines += block.split(b"\n")[:-1]
    assert 3 < len(watch.lines) < 100_000
    watch.restart()
    watch.settle()
    assert watch.lines == numbered(0, 100_000)
    assert not watch.lost
    assert watch.follower.lag == 0


@pytest.mark.fault(23)
@pytest.mark.needs("gzip")
def test_one_that_is_damaged_is_counted_as_lost_once_and_read_as_far_as_it_goes(watch: Watch) -> None:
    append(watch.path, written(0, 3))
    watch.look()

    def rotate() -> None:
        append(watch.path, written(3, 60_000))
        watch.path.rename(f"{watch.path}.1")
        pack(watch.path.with_name("syslog.1"))
        os.truncate(f"{watch.path}.1.gz", 60_000)
        append(watch.path, b"new\n")

    while_stopped(watch, rotate)
    assert watch.lines[:1000] == numbered(0, 1000)
    assert b"new" in watch.lines
    assert watch.lost == {"rotated": 1}


@pytest.mark.fault(23)
@pytest.mark.needs("gzip")
def test_another_file_with_the_same_beginning_is_not_taken_for_it(watch: Watch) -> None:
    append(watch.path, written(0, 100))
    watch.look()

    def rotate() -> None:
        watch.path.unlink()
        other = watch.path.with_name("syslog.1")
        other.write_bytes(written(0, 90) + written(500, 600))
        os.utime(other, (1e9, 1e9))
        pack(other)
        append(watch.path, b"new\n")

    while_stopped(watch, rotate)
    assert watch.lines == [*numbered(0, 100), b"new"]
    assert sum(watch.lost.values()) == 1


@pytest.mark.fault(55)
@pytest.mark.needs("gzip", "xz", "zstd", "bzip2")
@pytest.mark.parametrize(("program", "suffix"), PACKERS)
def test_streams_one_behind_another_are_one_text_and_broken_ones_raise_our_own_error(tmp_path: Path, program: str, suffix: str) -> None:
    file, both = tmp_path / "log", tmp_path / "both"
    data = b""
    for text in (written(0, 20_000), written(20_000, 40_000)):
        file.write_bytes(text)
        pack(file, program)
        data += (packed := file.with_name(f"log{suffix}")).read_bytes()
        packed.unlink()
    both.write_bytes(data)
    assert _text(both) == written(0, 40_000)
    for cut in (9, len(data) // 3, len(data) - 3):
        both.write_bytes(data[:cut])
        with pytest.raises(DAMAGE):
            _text(both)
    both.write_bytes(b"plain text")
    with pytest.raises(DAMAGE):
        _text(both)


@pytest.mark.needs("xz")
def test_a_file_packed_with_much_memory_is_refused_and_a_bomb_takes_none(tmp_path: Path) -> None:
    greedy = tmp_path / "greedy"
    greedy.write_bytes(os.urandom(100_000))
    subprocess.run(["xz", "--lzma2=dict=512MiB", str(greedy)], check=True)
    with pytest.raises(DAMAGE, match=r"[Mm]emory"):
        _text(greedy.with_name("greedy.xz"))
    bomb = tmp_path / "bomb"
    bomb.write_bytes(bytes(200 << 20))
    subprocess.run(["xz", "-6", str(bomb)], check=True)
    tracemalloc.start()
    descriptor = os.open(bomb.with_name("bomb.xz"), os.O_RDONLY)
    text, size = Unpacked(descriptor), 0
    while piece := text.read(1 << 18):
        size += len(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    os.close(descriptor)
    assert size == 200 << 20
    assert peak < 20 << 20


def _text(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        text, parts = Unpacked(descriptor), []
        while piece := text.read(7001):
            assert len(piece) <= 7001
            parts.append(piece)
        return b"".join(parts)
    finally:
        os.close(descriptor)

"""Logs that were rotated and compressed while vitald was stopped, with gzip, xz, zstd and bzip2 themselves."""

from __future__ import annotations

import os
import subprocess
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from collectors.compression import CompressionError, Decompressor
from collectors.logs.tailing.compressed_copy import MEMORY
from tests.collectors.logs.tailing.followed_file import FollowedFile, append, numbered, written

if TYPE_CHECKING:
    from pathlib import Path

COMPRESSORS = [("gzip", ".gz"), ("xz", ".xz"), ("zstd", ".zst"), ("bzip2", ".bz2")]


def compress(path: Path, program: str = "gzip") -> None:
    options = ["--rm"] if program == "zstd" else []
    subprocess.run([program, "-q", *options, str(path)], check=True)


@pytest.mark.fault(23)
@pytest.mark.needs("gzip", "xz", "zstd", "bzip2")
@pytest.mark.parametrize(("program", "suffix"), COMPRESSORS)
@pytest.mark.parametrize("read", [0, 3])
def test_a_log_rotated_and_compressed_while_stopped_is_read_to_its_end(
    followed: FollowedFile, program: str, suffix: str, read: int
) -> None:
    append(followed.path, written(0, read))
    followed.poll()

    def rotate() -> None:
        append(followed.path, written(read, 60_000) + b"unfinished")
        followed.path.rename(f"{followed.path}.1")
        compress(followed.path.with_name("syslog.1"), program)
        append(followed.path, b"new\n")

    followed.change_while_stopped(rotate)
    assert followed.path.with_name(f"syslog.1{suffix}").exists()
    assert sorted(followed.lines[60_000:]) == [b"new", b"unfinished"]
    assert followed.lines[:60_000] == numbered(0, 60_000)
    assert not followed.lost


@pytest.mark.fault(23)
@pytest.mark.needs("gzip")
def test_of_several_rotations_each_new_compressed_file_is_read_once_and_older_ones_are_not(followed: FollowedFile) -> None:
    older = followed.path.with_name("syslog.7")
    older.write_bytes(written(900, 950))
    os.utime(older, (1e9, 1e9))
    compress(older)
    append(followed.path, written(0, 3))
    followed.poll()

    def rotate() -> None:
        for number, (start, stop) in ((3, (3, 6)), (2, (6, 9)), (1, (9, 12))):
            append(followed.path, written(start, stop))
            followed.path.rename(f"{followed.path}.{number}")
            if number > 1:  # delaycompress
                compress(followed.path.with_name(f"syslog.{number}"))
        append(followed.path, written(12, 15))

    followed.change_while_stopped(rotate)
    assert followed.lines == numbered(0, 15)
    assert not followed.lost
    followed.restart()
    followed.settle()
    assert followed.lines == numbered(0, 15)


@pytest.mark.fault(23)
@pytest.mark.needs("gzip")
def test_a_compressed_log_is_read_where_the_path_is_missing_and_across_a_restart(followed: FollowedFile) -> None:
    append(followed.path, written(0, 3))
    followed.poll()
    saved = followed.follower.state()
    followed.follower.close()
    append(followed.path, written(3, 100_000))
    followed.path.rename(f"{followed.path}-20261121")
    compress(followed.path.with_name("syslog-20261121"))
    followed.follower = type(followed.follower)(str(followed.path), followed.follower._on_loss, saved)
    followed.follower.refresh(1.0)
    for block in followed.follower.read(2):  # two blocks of many, then a restart
        followed.lines += block.split(b"\n")[:-1]
    assert 3 < len(followed.lines) < 100_000
    followed.restart()
    followed.settle()
    assert followed.lines == numbered(0, 100_000)
    assert not followed.lost
    assert followed.follower.lag == 0


@pytest.mark.fault(23)
@pytest.mark.needs("gzip")
def test_a_damaged_compressed_log_is_counted_as_lost_once_and_read_up_to_the_damage(followed: FollowedFile) -> None:
    append(followed.path, written(0, 3))
    followed.poll()

    def rotate() -> None:
        append(followed.path, written(3, 60_000))
        followed.path.rename(f"{followed.path}.1")
        compress(followed.path.with_name("syslog.1"))
        os.truncate(f"{followed.path}.1.gz", 60_000)
        append(followed.path, b"new\n")

    followed.change_while_stopped(rotate)
    assert followed.lines[:1000] == numbered(0, 1000)
    assert b"new" in followed.lines
    assert followed.lost == {"rotated": 1}


@pytest.mark.fault(23)
@pytest.mark.needs("gzip")
def test_another_compressed_file_with_the_same_beginning_is_not_read(followed: FollowedFile) -> None:
    append(followed.path, written(0, 100))
    followed.poll()

    def rotate() -> None:
        followed.path.unlink()
        other = followed.path.with_name("syslog.1")
        other.write_bytes(written(0, 90) + written(500, 600))
        os.utime(other, (1e9, 1e9))
        compress(other)
        append(followed.path, b"new\n")

    followed.change_while_stopped(rotate)
    assert followed.lines == [*numbered(0, 100), b"new"]
    assert sum(followed.lost.values()) == 1


@pytest.mark.fault(55)
@pytest.mark.needs("gzip", "xz", "zstd", "bzip2")
@pytest.mark.parametrize(("program", "suffix"), COMPRESSORS)
def test_concatenated_streams_are_one_text_and_damaged_ones_raise_compression_error(tmp_path: Path, program: str, suffix: str) -> None:
    file, both = tmp_path / "log", tmp_path / "both"
    data = b""
    for text in (written(0, 20_000), written(20_000, 40_000)):
        file.write_bytes(text)
        compress(file, program)
        data += (compressed := file.with_name(f"log{suffix}")).read_bytes()
        compressed.unlink()
    both.write_bytes(data)
    assert _text(both) == written(0, 40_000)
    for cut in (9, len(data) // 3, len(data) - 3):
        both.write_bytes(data[:cut])
        with pytest.raises(CompressionError):
            _text(both)
    both.write_bytes(b"plain text")
    with pytest.raises(CompressionError):
        _text(both)


@pytest.mark.needs("xz")
def test_a_file_compressed_with_a_large_window_is_refused_and_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    greedy = tmp_path / "greedy"
    greedy.write_bytes(os.urandom(100_000))
    subprocess.run(["xz", "--lzma2=dict=512MiB", str(greedy)], check=True)
    with pytest.raises(CompressionError, match=r"[Mm]emory"):
        _text(greedy.with_name("greedy.xz"))
    bomb = tmp_path / "bomb"
    bomb.write_bytes(bytes(200 << 20))
    subprocess.run(["xz", "-6", str(bomb)], check=True)
    tracemalloc.start()
    descriptor = os.open(bomb.with_name("bomb.xz"), os.O_RDONLY)
    text, size = decompressor(descriptor), 0
    while piece := text.read(1 << 18):
        size += len(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    os.close(descriptor)
    assert size == 200 << 20
    assert peak < 20 << 20


def decompressor(descriptor: int) -> Decompressor:
    return Decompressor(lambda size: os.read(descriptor, size), MEMORY)


def _text(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        text, parts = decompressor(descriptor), []
        while piece := text.read(7001):
            assert len(piece) <= 7001
            parts.append(piece)
        return b"".join(parts)
    finally:
        os.close(descriptor)

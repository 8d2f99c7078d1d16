from __future__ import annotations

import bz2
import gzip
import lzma
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.logs.scan import archive, blocks
from collectors.model import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEXT = b"".join(b"Jul  1 00:00:00 h app[1]: line %d\n" % number for number in range(20_000))


def ignore(_count: int) -> None:
    pass


def read_stream(name: object) -> tuple[bytes, str]:
    """Return what could be read, and the reason why not all of it."""
    text = b""
    try:
        for block in archive.stream(str(name), ignore):
            text += block
    except archive.IncompleteRead as error:
        return text, str(error)
    return text, ""


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress, "zstd": zstd}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.sampled_from([b"", b"a", b"x" * 40, b"last message repeated 3 times"]), max_size=60),
    size=st.integers(1, 200),
    end=st.booleans(),
)
def test_parts_of_a_file_contain_each_line_once(tmp_path: Path, lines: list[bytes], size: int, end: bool) -> None:  # noqa: FBT001
    file = tmp_path / "log"
    data = b"\n".join(lines) + (b"\n" if end else b"")
    file.write_bytes(data)
    parts = [b"".join(blocks.blocks(str(file), start, min(len(data), start + size), ignore)) for start in range(0, max(1, len(data)), size)]
    assert b"".join(parts) == data


def test_a_repetition_is_in_the_part_of_the_line_it_repeats(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"one\nlast message repeated 9 times\ntwo\n")
    assert list(blocks.blocks(str(file), 0, 5, ignore)) == [b"one\nlast message repeated 9 times\n"]
    assert list(blocks.blocks(str(file), 5, 38, ignore)) == [b"two\n"]
    assert blocks.whole_lines(b"one\ntwo\nlast message repeated 9 times\n") == 4
    assert blocks.whole_lines(b"half") == 0


@pytest.mark.needs("zstd")
@pytest.mark.parametrize("kind", COMPRESSORS)
def test_a_compressed_file_is_detected_by_its_first_bytes(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "log.txt"
    file.write_bytes(COMPRESSORS[kind](TEXT[:300_000]) + COMPRESSORS[kind](TEXT[300_000:]))  # two members, as `cat a.gz b.gz` makes
    assert archive.inspect(str(file)).compression == kind
    assert not archive.inspect(str(file)).is_divisible
    assert read_stream(file) == (TEXT, "")


@pytest.mark.needs("zstd")
@pytest.mark.parametrize("kind", COMPRESSORS)
def test_a_truncated_archive_is_read_to_its_end_and_reported(tmp_path: Path, kind: str) -> None:
    whole = COMPRESSORS[kind](os.urandom(60_000).hex().encode())
    (tmp_path / "log").write_bytes(whole[: len(whole) * 9 // 10])
    text, problem = read_stream(tmp_path / "log")
    assert problem == f"{kind} data: ends in the middle; only what precedes it was read"
    assert kind in {"bzip2", "zstd"} or len(text) > 50_000  # their blocks are larger than that


@pytest.mark.needs("zstd")
@pytest.mark.parametrize("kind", COMPRESSORS)
def test_a_damaged_archive_is_reported(tmp_path: Path, kind: str) -> None:
    whole = bytearray(COMPRESSORS[kind](os.urandom(60_000).hex().encode()))
    for place in range(len(whole) // 2, len(whole) // 2 + 50):
        whole[place] ^= 0x5A
    (tmp_path / "log").write_bytes(whole)
    problem = read_stream(tmp_path / "log")[1]
    assert problem.startswith(f"{kind} data: ")
    assert problem.endswith("; only what precedes it was read")
    assert "ends in the middle" not in problem


def test_zstd_without_a_module_is_refused_with_the_command_to_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log").write_bytes(b"\x28\xb5\x2f\xfd rest")
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    assert read_stream(tmp_path / "log") == (b"", "this Python cannot read zstd; `zstd -dc FILE` can: pipe its output into `vitald scan -`")


def test_directories_and_binary_journals_are_refused(tmp_path: Path) -> None:
    (tmp_path / "system.journal").write_bytes(b"LPKSHHRH" + b"\0" * 500)
    for name, reason in (
        (tmp_path, "is a directory; expected files"),
        (tmp_path / "none", "cannot be read: No such file or directory"),
        (tmp_path / "system.journal", "is a binary journal; expected its export: `journalctl --file="),
    ):
        with pytest.raises(BadInput, match=f"{name}: {reason}"):
            archive.inspect(str(name))


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_an_endless_line_has_bounded_memory_and_the_next_one_is_read(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    data = b"first\n" + b"x" * (5 << 20) + b"\nnext\nlast"
    (tmp_path / "log").write_bytes(compress(data))
    read = (
        list(archive.stream(str(tmp_path / "log"), ignore))
        if compress is gzip.compress
        else list(blocks.blocks(str(tmp_path / "log"), 0, len(data), ignore))
    )
    assert max(map(len, read)) <= 2 << 20
    lines = b"".join(read).splitlines()
    assert (lines[0], len(lines[1]) >= 8192, lines[-2:]) == (b"first", True, [b"next", b"last"])


def test_a_pipe_is_neither_opened_nor_read_by_inspect(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert archive.inspect(str(tmp_path / "pipe")) == archive.LogFile("", 0, None)


def test_the_mtime_of_gzip_is_that_of_the_original(tmp_path: Path) -> None:
    with (tmp_path / "log.gz").open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=1_500_000_000) as file:
        file.write(TEXT)
    assert archive.inspect(str(tmp_path / "log.gz")).mtime == 1_500_000_000

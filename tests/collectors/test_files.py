"""Bounded reads of files that do not block."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from collectors.files import read_bytes, read_once, read_regular, read_text, stamp


def test_a_file_is_read_whole_or_as_far_as_asked(tmp_path: Path) -> None:
    (file := tmp_path / "file").write_bytes(b"x" * 200_000)
    assert read_regular(file, 1 << 20) == b"x" * 200_000
    assert read_regular(file, 100_001) == b"x" * 100_001
    assert read_regular(str(file), 0) == b""


def test_a_file_that_is_read_a_page_at_a_time_is_read_whole() -> None:
    table = Path("/proc/kallsyms")  # some megabytes, and its size is said to be 0
    assert read_regular(table, 300_000) == table.read_bytes()[:300_000]


@pytest.mark.fault(26)
def test_a_fifo_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(fifo := tmp_path / "fifo")
    assert (read_once(fifo, 10), read_bytes(fifo, 10)) == (b"", b"")
    with pytest.raises(OSError, match="not a regular file") as refused:
        read_regular(fifo, 10)
    assert refused.value.errno == errno.EINVAL


def test_an_unreadable_file_is_empty(tmp_path: Path) -> None:
    assert (read_text(tmp_path, 10), read_text(tmp_path / "missing", 10), stamp(tmp_path / "missing"), stamp("\0")) == ("", "", None, None)


def test_a_copy_with_the_same_mtime_and_size_has_another_stamp(tmp_path: Path) -> None:
    (file := tmp_path / "file").write_text("one")
    (copy := tmp_path / "copy").write_text("two")
    before = stamp(file)
    assert stamp(str(file)) == before
    shutil.copystat(file, copy)
    shutil.copyfile(copy, file)
    shutil.copystat(copy, file)
    assert stamp(file) != before

"""A file that is rotated, copied and truncated while it is followed: each line is read once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.collectors.logs.tailing.followed_file import FollowedFile, append, numbered, written


@pytest.mark.fault(8)
def test_a_writer_that_stays_on_the_renamed_file_on_losss_nothing(followed: FollowedFile) -> None:
    with followed.path.open("ab", buffering=0) as writer:
        writer.write(written(0, 5))
        followed.poll()
        followed.path.rename(f"{followed.path}.1")
        append(followed.path, written(100, 103))
        for second in range(5):
            writer.write(written(5 + second, 6 + second))
            followed.poll()
    followed.settle()
    assert sorted(followed.lines) == sorted([*numbered(0, 10), *numbered(100, 103)])
    assert not followed.lost


@pytest.mark.fault(16)
def test_copytruncate_under_an_appending_writer_on_losss_nothing_that_was_copied(followed: FollowedFile) -> None:
    append(followed.path, written(0, 5))
    followed.poll()
    append(followed.path, written(5, 8))  # not yet read when the copy is made
    (followed.path.parent / "syslog.1").write_bytes(followed.path.read_bytes())
    os.truncate(followed.path, 0)
    append(followed.path, written(8, 10))
    followed.settle()
    assert followed.lines == numbered(0, 10)
    assert not followed.lost


@pytest.mark.fault(17)
def test_copytruncate_under_a_writer_that_does_not_append_skips_the_hole(followed: FollowedFile) -> None:
    with followed.path.open("wb", buffering=0) as writer:
        writer.write(written(0, 5))
        followed.poll()
        writer.seek(8 << 30)  # a hole of 8 GiB: reading it would exceed the limit below
        writer.write(written(5, 6))
        followed.poll()
        os.truncate(followed.path, 0)
        followed.poll()
        writer.write(written(6, 9))
        began = time.process_time()
        followed.settle()
        assert time.process_time() - began < 1
    assert followed.lines == [*numbered(0, 9)]
    assert followed.lost == {"truncated": 1}


@pytest.mark.fault(18)
def test_truncated_and_grown_past_the_old_offset_between_two_polls(followed: FollowedFile) -> None:
    append(followed.path, written(0, 5))
    followed.poll()
    os.truncate(followed.path, 0)
    append(followed.path, written(50, 90))
    followed.settle()
    assert followed.lines == [*numbered(0, 5), *numbered(50, 90)]
    assert followed.lost == {"truncated": 1}


@pytest.mark.fault(18)
def test_truncated_and_written_again_with_the_same_beginning(followed: FollowedFile) -> None:
    append(followed.path, b"banner " * 60 + b"\n" + written(0, 5))
    followed.poll()
    followed.path.write_bytes(b"banner " * 60 + b"\n" + written(50, 90))
    followed.settle()
    assert followed.lines[-40:] == numbered(50, 90)
    assert followed.lost == {"truncated": 1}


@pytest.mark.fault(19)
def test_a_file_created_and_rotated_between_two_polls_is_read(followed: FollowedFile) -> None:
    append(followed.path, written(0, 3))
    followed.poll()
    for start in (3, 6):
        if (old := followed.path.with_name("syslog.1")).exists():
            old.rename(followed.path.with_name("syslog.2"))
        followed.path.rename(f"{followed.path}.1")
        append(followed.path, written(start, start + 3))
    followed.settle()
    assert sorted(followed.lines) == sorted(numbered(0, 9))
    assert not followed.lost


@pytest.mark.fault(20)
def test_a_deleted_file_is_closed_within_a_minute(followed: FollowedFile) -> None:
    append(followed.path, written(0, 3) + b"unfinished")
    followed.poll()
    followed.path.unlink()
    followed.poll()
    assert f"{followed.path} (deleted)" in _open_files()
    followed.poll(59)
    assert f"{followed.path} (deleted)" not in _open_files()
    assert followed.lines == [*numbered(0, 3), b"unfinished"]
    append(followed.path, written(3, 5))
    followed.poll()
    assert followed.lines[-2:] == numbered(3, 5)
    assert not followed.lost


def _open_files() -> set[str]:
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(descriptor.readlink()))
        except FileNotFoundError:
            continue
    return found


@pytest.mark.fault(21)
def test_a_new_file_with_a_reused_inode_is_a_new_file(followed: FollowedFile) -> None:
    append(followed.path, written(0, 3))
    followed.poll()
    followed.follower.state()
    inode = followed.path.stat().st_ino

    def recreate() -> None:
        followed.path.unlink()
        append(followed.path, written(10, 30))

    followed.change_while_stopped(recreate)
    assert followed.lines == [*numbered(0, 3), *numbered(10, 30)]
    assert sum(followed.lost.values()) == 1
    assert inode  # most file systems reuse it; where one does not, this tests a rotation

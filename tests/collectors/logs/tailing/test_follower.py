"""A file that is rotated, copied and truncated while it is followed: every line once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.collectors.logs.tailing.followed_file import Watch, append, numbered, while_stopped, written


@pytest.mark.fault(8)
def test_a_writer_that_stays_on_the_renamed_file_loses_nothing(watch: Watch) -> None:
    with watch.path.open("ab", buffering=0) as writer:
        writer.write(written(0, 5))
        watch.look()
        watch.path.rename(f"{watch.path}.1")
        append(watch.path, written(100, 103))
        for second in range(5):
            writer.write(written(5 + second, 6 + second))
            watch.look()
    watch.settle()
    assert sorted(watch.lines) == sorted([*numbered(0, 10), *numbered(100, 103)])
    assert not watch.lost


@pytest.mark.fault(16)
def test_copytruncate_under_an_appending_writer_loses_nothing_that_was_copied(watch: Watch) -> None:
    append(watch.path, written(0, 5))
    watch.look()
    append(watch.path, written(5, 8))  # not yet read when the copy is made
    (watch.path.parent / "syslog.1").write_bytes(watch.path.read_bytes())
    os.truncate(watch.path, 0)
    append(watch.path, written(8, 10))
    watch.settle()
    assert watch.lines == numbered(0, 10)
    assert not watch.lost


@pytest.mark.fault(17)
def test_copytruncate_under_a_writer_that_does_not_append_skips_the_hole(watch: Watch) -> None:
    with watch.path.open("wb", buffering=0) as writer:
        writer.write(written(0, 5))
        watch.look()
        writer.seek(8 << 30)  # as if 8 GiB had been written: reading them would take longer than the test may
        writer.write(written(5, 6))
        watch.look()
        os.truncate(watch.path, 0)
        watch.look()
        writer.write(written(6, 9))
        began = time.process_time()
        watch.settle()
        assert time.process_time() - began < 1
    assert watch.lines == [*numbered(0, 9)]
    assert watch.lost == {"truncated": 1}


@pytest.mark.fault(18)
def test_truncated_and_grown_past_the_old_offset_between_two_looks(watch: Watch) -> None:
    append(watch.path, written(0, 5))
    watch.look()
    os.truncate(watch.path, 0)
    append(watch.path, written(50, 90))
    watch.settle()
    assert watch.lines == [*numbered(0, 5), *numbered(50, 90)]
    assert watch.lost == {"truncated": 1}


@pytest.mark.fault(18)
def test_truncated_and_written_again_with_the_same_beginning(watch: Watch) -> None:
    append(watch.path, b"banner " * 60 + b"\n" + written(0, 5))
    watch.look()
    watch.path.write_bytes(b"banner " * 60 + b"\n" + written(50, 90))
    watch.settle()
    assert watch.lines[-40:] == numbered(50, 90)
    assert watch.lost == {"truncated": 1}


@pytest.mark.fault(19)
def test_of_two_rotations_between_two_looks_the_middle_file_is_read(watch: Watch) -> None:
    append(watch.path, written(0, 3))
    watch.look()
    for start in (3, 6):
        if (old := watch.path.with_name("syslog.1")).exists():
            old.rename(watch.path.with_name("syslog.2"))
        watch.path.rename(f"{watch.path}.1")
        append(watch.path, written(start, start + 3))
    watch.settle()
    assert sorted(watch.lines) == sorted(numbered(0, 9))
    assert not watch.lost


@pytest.mark.fault(20)
def test_a_deleted_file_is_let_go_within_a_minute(watch: Watch) -> None:
    append(watch.path, written(0, 3) + b"unfinished")
    watch.look()
    watch.path.unlink()
    watch.look()
    assert f"{watch.path} (deleted)" in _open_files()
    watch.look(59)
    assert f"{watch.path} (deleted)" not in _open_files()
    assert watch.lines == [*numbered(0, 3), b"unfinished"]
    append(watch.path, written(3, 5))
    watch.look()
    assert watch.lines[-2:] == numbered(3, 5)
    assert not watch.lost


def _open_files() -> set[str]:
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(descriptor.readlink()))
        except FileNotFoundError:
            continue
    return found


@pytest.mark.fault(21)
def test_a_new_file_with_the_old_inode_is_a_new_file(watch: Watch) -> None:
    append(watch.path, written(0, 3))
    watch.look()
    watch.follower.save()
    inode = watch.path.stat().st_ino

    def reborn() -> None:
        watch.path.unlink()
        append(watch.path, written(10, 30))

    while_stopped(watch, reborn)
    assert watch.lines == [*numbered(0, 3), *numbered(10, 30)]
    assert sum(watch.lost.values()) == 1
    assert inode  # most file systems give the same one again; where they do not, the test is that of a rotation

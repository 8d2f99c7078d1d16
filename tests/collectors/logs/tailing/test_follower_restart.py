"""Files that changed while vitald was stopped: nothing is read twice, and each loss is counted."""

from __future__ import annotations

import os

import pytest

from tests.collectors.logs.tailing.followed_file import FollowedFile, append, numbered, written


@pytest.mark.fault(22)
def test_a_partial_line_across_a_restart_is_counted_once_and_whole(followed: FollowedFile) -> None:
    append(followed.path, b"first\nhal")
    followed.poll()
    assert followed.lines == [b"first"]
    followed.restart()
    followed.poll()
    append(followed.path, b"f and half\n")
    followed.poll()
    assert followed.lines == [b"first", b"half and half"]


@pytest.mark.fault(23)
def test_a_rotation_while_stopped_is_read_to_its_end(followed: FollowedFile) -> None:
    append(followed.path, written(0, 3))
    followed.poll()

    def rotate() -> None:
        append(followed.path, written(3, 6))
        followed.path.rename(f"{followed.path}.1")
        append(followed.path, written(6, 9))

    followed.change_while_stopped(rotate)
    assert followed.lines == numbered(0, 9)
    assert not followed.lost


@pytest.mark.fault(23)
def test_rotations_and_a_truncation_while_stopped(followed: FollowedFile) -> None:
    append(followed.path, written(0, 3))
    followed.poll()

    def change() -> None:
        append(followed.path, written(3, 6))
        followed.path.rename(f"{followed.path}.2")
        append(followed.path, written(6, 9))
        followed.path.rename(f"{followed.path}.1")
        append(followed.path, written(50, 60))
        os.truncate(followed.path, 0)
        append(followed.path, written(9, 12))

    followed.change_while_stopped(change)
    assert followed.lines == numbered(0, 12)


@pytest.mark.fault(23)
def test_a_copytruncate_while_stopped_is_read_from_the_copy(followed: FollowedFile) -> None:
    append(followed.path, written(0, 3))
    followed.poll()

    def change() -> None:
        append(followed.path, written(3, 6))
        followed.path.with_name("syslog-20260101").write_bytes(followed.path.read_bytes())
        os.truncate(followed.path, 0)
        append(followed.path, written(6, 9))

    followed.change_while_stopped(change)
    assert followed.lines == numbered(0, 9)
    assert not followed.lost


@pytest.mark.fault(23)
def test_a_rotated_file_that_is_gone_after_a_restart_is_counted_as_lost(followed: FollowedFile) -> None:
    append(followed.path, written(0, 3))
    followed.poll()

    def change() -> None:
        followed.path.rename(f"{followed.path}.1")
        followed.path.with_name("syslog.1").unlink()
        append(followed.path, b"something else\n")

    followed.change_while_stopped(change)
    assert followed.lines == [*numbered(0, 3), b"something else"]
    assert sum(followed.lost.values()) == 1

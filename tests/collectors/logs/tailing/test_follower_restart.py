"""Files that changed while vitald was stopped: nothing twice, nothing lost without a word."""

from __future__ import annotations

import os

import pytest

from tests.collectors.logs.tailing.followed_file import Watch, append, numbered, while_stopped, written


@pytest.mark.fault(22)
def test_a_partial_line_across_a_restart_is_counted_once_and_whole(watch: Watch) -> None:
    append(watch.path, b"first\nhal")
    watch.look()
    assert watch.lines == [b"first"]
    watch.restart()
    watch.look()
    append(watch.path, b"f and half\n")
    watch.look()
    assert watch.lines == [b"first", b"half and half"]


@pytest.mark.fault(23)
def test_a_rotation_while_stopped_is_read_to_its_end(watch: Watch) -> None:
    append(watch.path, written(0, 3))
    watch.look()

    def rotate() -> None:
        append(watch.path, written(3, 6))
        watch.path.rename(f"{watch.path}.1")
        append(watch.path, written(6, 9))

    while_stopped(watch, rotate)
    assert watch.lines == numbered(0, 9)
    assert not watch.lost


@pytest.mark.fault(23)
def test_rotations_and_a_truncation_while_stopped(watch: Watch) -> None:
    append(watch.path, written(0, 3))
    watch.look()

    def change() -> None:
        append(watch.path, written(3, 6))
        watch.path.rename(f"{watch.path}.2")
        append(watch.path, written(6, 9))
        watch.path.rename(f"{watch.path}.1")
        append(watch.path, written(50, 60))
        os.truncate(watch.path, 0)
        append(watch.path, written(9, 12))

    while_stopped(watch, change)
    assert watch.lines == numbered(0, 12)


@pytest.mark.fault(23)
def test_a_copytruncate_while_stopped_is_read_from_the_copy(watch: Watch) -> None:
    append(watch.path, written(0, 3))
    watch.look()

    def change() -> None:
        append(watch.path, written(3, 6))
        watch.path.with_name("syslog-20260101").write_bytes(watch.path.read_bytes())
        os.truncate(watch.path, 0)
        append(watch.path, written(6, 9))

    while_stopped(watch, change)
    assert watch.lines == numbered(0, 9)
    assert not watch.lost


@pytest.mark.fault(23)
def test_a_rotated_file_that_is_gone_after_a_restart_is_counted_as_lost(watch: Watch) -> None:
    append(watch.path, written(0, 3))
    watch.look()

    def change() -> None:
        watch.path.rename(f"{watch.path}.1")
        watch.path.with_name("syslog.1").unlink()
        append(watch.path, b"something else\n")

    while_stopped(watch, change)
    assert watch.lines == [*numbered(0, 3), b"something else"]
    assert sum(watch.lost.values()) == 1

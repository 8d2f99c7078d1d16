"""Logs that are read on while logrotate copies them, and logs that appear after the first look: each line once, no loss that is none."""

from __future__ import annotations

import gzip
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from collectors.logs.tailing import follower
from tests.collectors.logs.tailing.followed_file import FollowedFile, append, numbered, written

if TYPE_CHECKING:
    from pathlib import Path

BANNER = b"=" * 300 + b" log of the application, opened\n"


@pytest.fixture
def copy(followed: FollowedFile) -> Path:
    return followed.path.with_name("syslog.1")


@pytest.mark.fault(163)
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("lines", [10, 20_000])
def test_a_copy_of_less_than_what_was_read_is_not_read_again(
    followed: FollowedFile, copy: Path, lines: int, *, compressed: bool, restarted: bool
) -> None:
    append(followed.path, written(0, lines))
    followed.poll()
    shutil.copyfile(followed.path, copy)
    os.utime(copy, (2e9, 2e9))  # a large copy ends after the last line that was read
    append(followed.path, written(lines, lines + 10))
    followed.poll()

    def truncate() -> None:
        os.truncate(followed.path, 0)
        if compressed:
            copy.with_name("syslog.1.gz").write_bytes(gzip.compress(copy.read_bytes(), 1))
            os.utime(copy.with_name("syslog.1.gz"), (2e9, 2e9))
            copy.unlink()
        append(followed.path, written(lines + 10, lines + 12))

    followed.change_while_stopped(truncate) if restarted else truncate()
    followed.settle()
    assert followed.lines == numbered(0, lines + 12)
    assert not followed.lost
    followed.restart()
    followed.settle()
    assert len(followed.lines) == lines + 12


@pytest.mark.fault(163)
def test_a_copy_in_progress_is_none_to_read(followed: FollowedFile, copy: Path) -> None:
    copy.touch()
    append(followed.path, written(0, 100))
    followed.poll()
    for part in (500, 900):
        copy.write_bytes(written(0, 100)[:part])
        followed.poll()
    append(followed.path, written(100, 105))  # not read when the copy ends
    copy.write_bytes(followed.path.read_bytes())
    os.truncate(followed.path, 0)
    followed.settle()
    assert followed.lines == numbered(0, 105)
    assert not followed.lost


@pytest.mark.fault(163)
@pytest.mark.parametrize("again", [b"", written(200, 203)], ids=["gone", "there again"])
def test_a_copy_that_ends_while_stopped_is_none_to_read_though_its_log_is_gone(followed: FollowedFile, copy: Path, again: bytes) -> None:
    append(followed.path, written(0, 50))
    copy.touch()
    append(followed.path, written(50, 60))
    followed.poll()

    def end() -> None:
        copy.write_bytes(written(0, 50))
        append(followed.path.with_name("new"), again)  # before the log is gone, so that it gets another inode
        followed.path.unlink()
        if again:
            followed.path.with_name("new").rename(followed.path)

    followed.change_while_stopped(end)
    assert followed.lines == numbered(0, 60) + [line for line in again.split(b"\n") if line]
    assert followed.lost == {"rotated": 1}


@pytest.mark.fault(163)
def test_lines_that_were_seen_and_are_in_no_copy_are_a_loss(followed: FollowedFile, copy: Path) -> None:
    append(followed.path, written(0, 100))
    followed.poll()
    shutil.copyfile(followed.path, copy)
    append(followed.path, written(100, 110))
    followed.poll()
    append(followed.path, written(110, 120))
    followed.follower.refresh(followed.now + 1)  # seen, not read
    os.truncate(followed.path, 0)
    followed.settle()
    assert followed.lines == numbered(0, 110)
    assert followed.lost == {"truncated": 1}


@pytest.mark.fault(163)
def test_another_file_with_the_same_beginning_is_read(followed: FollowedFile, copy: Path) -> None:
    append(followed.path, BANNER + written(0, 1000))
    followed.poll()
    copy.write_bytes(BANNER + written(5000, 5500))
    os.utime(copy, (2e9, 2e9))
    os.truncate(followed.path, 0)
    followed.settle()
    assert followed.lines == [BANNER[:-1], *numbered(0, 1000), BANNER[:-1], *numbered(5000, 5500)]
    assert followed.lost == {"truncated": 1}


@pytest.mark.fault(163)
def test_copied_truncated_and_compressed_between_two_looks(followed: FollowedFile, copy: Path) -> None:
    append(followed.path, written(0, 100))
    followed.poll()
    append(followed.path, written(100, 200))
    copy.with_name("syslog.1.gz").write_bytes(gzip.compress(followed.path.read_bytes(), 1))
    os.truncate(followed.path, 0)
    append(followed.path, written(200, 300))
    followed.settle()
    assert followed.lines == numbered(0, 300)
    assert not followed.lost


@pytest.mark.fault(157)
@pytest.mark.parametrize("way", ["written", "renamed", "copied", "with its directory", "rotated at once"])
def test_a_log_that_appears_after_the_first_look_is_read_from_its_beginning(tmp_path: Path, way: str) -> None:
    path = tmp_path / "log" / "syslog"
    if way != "with its directory":
        path.parent.mkdir()
    followed = FollowedFile(path, backlog=True)
    followed.poll()
    text = written(0, 150_000)
    assert len(text) > follower.BACKLOG_BYTES
    source = tmp_path / "source"
    source.write_bytes(text)
    path.parent.mkdir(exist_ok=True)
    if way == "copied":
        shutil.copyfile(source, path)
    else:
        source.rename(path)
    if way == "rotated at once":
        path.rename(path.with_name("syslog.1"))
        path.touch()
    followed.settle()
    assert followed.lines == numbered(0, 150_000)
    assert not followed.lost


@pytest.mark.fault(157)
def test_older_rotated_files_of_a_log_that_is_missing_at_first_are_history(tmp_path: Path) -> None:
    (old := tmp_path / "syslog.1").write_bytes(written(0, 10))
    followed = FollowedFile(tmp_path / "syslog", backlog=True)
    followed.poll()
    append(old, written(10, 12))  # its writer has not opened the new file yet
    os.utime(old, (2e9, 2e9))
    append(followed.path, written(12, 15))
    followed.settle()
    assert sorted(followed.lines) == sorted(numbered(10, 15))
    assert not followed.lost


@pytest.mark.fault(157)
def test_what_is_skipped_of_a_huge_new_log_is_a_loss_and_a_hole_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "MAX_NEW_BYTES", 1 << 16)
    for name, is_sparse in (("full", False), ("sparse", True)):
        followed = FollowedFile(tmp_path / name, backlog=True)
        followed.poll()
        with followed.path.open("wb") as file:
            if is_sparse:
                file.seek(10 << 30)
            file.write(written(0, 100 if is_sparse else 20_000))
        followed.settle()
        assert followed.lines[-100:] == (numbered(0, 100) if is_sparse else numbered(19_900, 20_000))
        assert followed.lost == ({} if is_sparse else {"skipped": 1})


@pytest.mark.fault(157)
def test_a_log_that_is_there_at_the_first_look_begins_with_its_last_mebibyte(tmp_path: Path) -> None:
    path = tmp_path / "syslog"
    path.write_bytes(written(0, 150_000))
    followed = FollowedFile(path, backlog=True)
    followed.settle()
    assert followed.lines[-1] == b"line 149999"
    assert len(b"\n".join(followed.lines)) <= follower.BACKLOG_BYTES
    assert not followed.lost

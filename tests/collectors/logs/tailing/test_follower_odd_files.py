"""Unreadable files, special files, files with equal content, and lines without an end."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.collectors.logs.tailing.followed_file import FollowedFile, append, numbered, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Create a folder that other users can access, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="vitald-logs-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.fault(24)
@pytest.mark.root
def test_unreadable_and_readable_again(open_folder: Path) -> None:
    path = open_folder / "syslog"
    path.write_bytes(written(0, 3))
    path.chmod(0)
    followed = FollowedFile(path)
    os.seteuid(65534)
    try:
        followed.poll()
        followed.poll()
        assert (followed.lost, followed.follower.error) == ({"unreadable": 1}, "Permission denied")
        os.seteuid(0)
        path.chmod(0o644)
        os.seteuid(65534)
        followed.poll()
    finally:
        os.seteuid(0)
    assert (followed.lines, followed.follower.error) == (numbered(0, 3), "")


@pytest.mark.fault(25)
def test_two_files_with_the_same_first_lines_are_two_files(tmp_path: Path) -> None:
    banner = b"banner\n" * 100
    files = [FollowedFile(tmp_path / name) for name in ("one.log", "two.log")]
    for followed in files:
        followed.path.write_bytes(banner)
        followed.poll()
        followed.restart()
    append(files[0].path, b"one\n")
    append(files[1].path, b"two\n")
    for followed, last in zip(files, (b"one", b"two"), strict=True):
        followed.settle()
        assert followed.lines == [*[b"banner"] * 100, last]
        assert not followed.lost


@pytest.mark.fault(25)
def test_empty_files_are_rotated_and_restarted_without_a_loss(followed: FollowedFile) -> None:
    for _ in range(3):
        followed.restart()
        followed.poll()
        followed.path.rename(f"{followed.path}.1")
        followed.path.touch()
        followed.poll()
    append(followed.path, b"first\n")
    followed.settle()
    assert followed.lines == [b"first"]
    assert not followed.lost


@pytest.mark.fault(26)
def test_a_retargeted_symlink_is_a_rotation(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode() + b"\n")
    link = tmp_path / "current"
    link.symlink_to("a")
    followed = FollowedFile(link)
    followed.poll()
    link.unlink()
    link.symlink_to("b")
    append(tmp_path / "a", b"late\n")
    followed.settle()
    assert followed.lines == [b"a", b"late", b"b"]


@pytest.mark.fault(26)
def test_a_special_file_is_counted_as_unreadable_and_does_not_block(followed: FollowedFile) -> None:
    append(followed.path, b"before\n")
    followed.poll()
    kinds: list[Callable[[Path], None]] = [
        os.mkfifo,
        Path.mkdir,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to("/dev/stdin"),
    ]
    for number, create in enumerate(kinds, 1):
        followed.path.rmdir() if followed.path.is_dir() else followed.path.unlink()
        create(followed.path)
        followed.poll()
        followed.poll()
        assert followed.follower.error in {"not a regular file", "Permission denied"} or followed.follower.error.startswith("No such")
        if number == 1:
            assert followed.lost["unreadable"] == 1
    followed.path.unlink()
    append(followed.path, b"after\n")
    followed.settle()
    assert followed.lines == [b"before", b"after"]


@pytest.mark.fault(49)
def test_a_line_of_a_gibibyte_is_dropped_and_counted_in_bounded_memory(followed: FollowedFile) -> None:
    append(followed.path, b"before\n")
    with followed.path.open("ab") as file:
        chunk = b"x" * (1 << 20)
        for _ in range(64):
            file.write(chunk)
        file.seek(1 << 30)
        file.write(b"\nafter\n")
    with followed.path.open("r+b") as file:
        file.seek((1 << 30) - 5)
        file.write(b"yyyyy")
    tracemalloc.start()
    for _ in range(3):
        followed.poll()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert followed.lines[0] == b"before"
    assert followed.lines[-1] == b"after"
    assert followed.lost["oversize"] >= 1
    assert peak < 4 << 20


def test_the_very_first_start_reads_whole_lines_of_the_last_mebibyte(tmp_path: Path) -> None:
    path = tmp_path / "messages"
    path.write_bytes(b"".join(b"%09d\n" % number for number in range(200_000)))
    followed = FollowedFile(path, backlog=True)
    followed.poll()
    assert followed.lines[-1] == b"000199999"
    assert 100_000 < len(followed.lines) < 110_000
    assert all(len(line) == 9 for line in followed.lines)


@pytest.mark.fault(167)
@pytest.mark.parametrize("away", ["missing", "loop"])
def test_a_path_that_cannot_be_looked_at_for_a_moment_is_read_on_where_it_was(followed: FollowedFile, away: str) -> None:
    append(followed.path, written(0, 5))
    followed.poll()
    beside = followed.path.with_name("elsewhere")
    followed.path.rename(beside)
    if away == "loop":
        followed.path.symlink_to(followed.path)  # ELOOP
    followed.poll()
    append(beside, written(5, 6))
    followed.poll()
    followed.path.unlink(missing_ok=True)
    beside.rename(followed.path)
    followed.poll()
    append(followed.path, written(6, 8))
    followed.settle()
    assert followed.lines == numbered(0, 8)
    assert not followed.lost


@pytest.mark.fault(167)
def test_a_start_that_cannot_read_the_file_continues_at_the_saved_position_later(
    followed: FollowedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(followed.path, written(0, 5))
    followed.poll()
    followed.restart()
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 — the listing itself has one, each time

    def failing(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", failing)
        with pytest.raises(OSError, match="Input/output"):
            followed.poll()
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208
    append(followed.path, written(5, 8))
    followed.settle()
    assert followed.lines == numbered(0, 8)
    assert not followed.lost


@pytest.mark.fault(167)
def test_a_path_that_is_missing_at_a_restart_and_comes_back_is_not_read_twice(followed: FollowedFile, tmp_path: Path) -> None:
    """A volume that is mounted after vitald has started."""
    append(followed.path, written(0, 5))
    followed.poll()
    away = tmp_path / "unmounted"
    followed.path.rename(away)
    followed.restart()
    followed.poll()
    away.rename(followed.path)
    append(followed.path, written(5, 8))
    followed.settle()
    assert followed.lines == numbered(0, 8)

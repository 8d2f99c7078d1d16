"""Files that cannot be read, are none, are alike, or have lines that never end."""

from __future__ import annotations

import os
import shutil
import tempfile
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.collectors.logs.tailing.followed_file import Watch, append, numbered, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder that other users can reach, which pytest's own are not."""
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
    watch = Watch(path)
    os.seteuid(65534)
    try:
        watch.look()
        watch.look()
        assert (watch.lost, watch.follower.trouble) == ({"unreadable": 1}, "Permission denied")
        os.seteuid(0)
        path.chmod(0o644)
        os.seteuid(65534)
        watch.look()
    finally:
        os.seteuid(0)
    assert (watch.lines, watch.follower.trouble) == (numbered(0, 3), "")


@pytest.mark.fault(25)
def test_two_files_with_the_same_first_lines_are_two_files(tmp_path: Path) -> None:
    banner = b"banner\n" * 100
    watches = [Watch(tmp_path / name) for name in ("one.log", "two.log")]
    for watch in watches:
        watch.path.write_bytes(banner)
        watch.look()
        watch.restart()
    append(watches[0].path, b"one\n")
    append(watches[1].path, b"two\n")
    for watch, last in zip(watches, (b"one", b"two"), strict=True):
        watch.settle()
        assert watch.lines == [*[b"banner"] * 100, last]
        assert not watch.lost


@pytest.mark.fault(25)
def test_empty_files_rotate_and_restart_without_a_trace(watch: Watch) -> None:
    for _ in range(3):
        watch.restart()
        watch.look()
        watch.path.rename(f"{watch.path}.1")
        watch.path.touch()
        watch.look()
    append(watch.path, b"first\n")
    watch.settle()
    assert watch.lines == [b"first"]
    assert not watch.lost


@pytest.mark.fault(26)
def test_a_switched_symlink_is_a_rotation(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode() + b"\n")
    link = tmp_path / "current"
    link.symlink_to("a")
    watch = Watch(link)
    watch.look()
    link.unlink()
    link.symlink_to("b")
    append(tmp_path / "a", b"late\n")
    watch.settle()
    assert watch.lines == [b"a", b"late", b"b"]


@pytest.mark.fault(26)
def test_what_is_no_regular_file_is_refused_and_counted_and_does_not_hang(watch: Watch) -> None:
    append(watch.path, b"before\n")
    watch.look()
    ways: list[Callable[[Path], None]] = [
        os.mkfifo,
        Path.mkdir,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to("/dev/stdin"),
    ]
    for number, become in enumerate(ways, 1):
        watch.path.rmdir() if watch.path.is_dir() else watch.path.unlink()
        become(watch.path)
        watch.look()
        watch.look()
        assert watch.follower.trouble in {"not a regular file", "Permission denied"} or watch.follower.trouble.startswith("No such")
        if number == 1:
            assert watch.lost["unreadable"] == 1
    watch.path.unlink()
    append(watch.path, b"after\n")
    watch.settle()
    assert watch.lines == [b"before", b"after"]


@pytest.mark.fault(49)
def test_a_line_of_a_gibibyte_is_dropped_counted_and_never_held(watch: Watch) -> None:
    append(watch.path, b"before\n")
    with watch.path.open("ab") as file:
        chunk = b"x" * (1 << 20)
        for _ in range(64):
            file.write(chunk)
        file.seek(1 << 30)
        file.write(b"\nafter\n")
    with watch.path.open("r+b") as file:
        file.seek((1 << 30) - 5)
        file.write(b"yyyyy")
    tracemalloc.start()
    for _ in range(3):
        watch.look()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert watch.lines[0] == b"before"
    assert watch.lines[-1] == b"after"
    assert watch.lost["oversize"] >= 1
    assert peak < 4 << 20


def test_the_first_start_ever_reads_the_last_mebibyte_and_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "messages"
    path.write_bytes(b"".join(b"%09d\n" % number for number in range(200_000)))
    watch = Watch(path, history=True)
    watch.look()
    assert watch.lines[-1] == b"000199999"
    assert 100_000 < len(watch.lines) < 110_000
    assert all(len(line) == 9 for line in watch.lines)

from __future__ import annotations

import os
import shutil
import tempfile
import time
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from collectors.logs.follow import GRACE, Follower
from collectors.logs.saved import Saved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Watch:
    """A follower on a real file, with what it read and what it lost."""

    def __init__(self, path: Path, *, history: bool = False) -> None:
        self.path = path
        self.lines: list[bytes] = []
        self.lost: Counter[str] = Counter()
        self.now = 0.0
        self.follower = Follower(str(path), self._lose, history=history)

    def _lose(self, reason: str) -> None:
        self.lost[reason] += 1

    def look(self, seconds: float = 1.0) -> None:
        self.now += seconds
        self.follower.look(self.now)
        for block in (*self.follower.read(1000), *self.follower.last_words()):
            self.lines += block.split(b"\n")[:-1]

    def restart(self) -> None:
        """Stop, and start again from what was saved, through JSON as the state file does it."""
        saved = msgspec.json.decode(msgspec.json.encode(self.follower.save()), type=Saved)
        self.follower.close()
        self.follower = Follower(str(self.path), self._lose, saved)

    def settle(self) -> None:
        self.look()
        self.look(GRACE + 1)
        self.look()


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    path = tmp_path / "syslog"
    path.touch()
    watch = Watch(path)
    watch.look()
    return watch


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder that other users can reach, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="vitald-logs-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def append(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


def numbered(start: int, stop: int) -> list[bytes]:
    return [b"line %d" % number for number in range(start, stop)]


def written(start: int, stop: int) -> bytes:
    return b"".join(line + b"\n" for line in numbered(start, stop))


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

    _while_stopped(watch, reborn)
    assert watch.lines == [*numbered(0, 3), *numbered(10, 30)]
    assert sum(watch.lost.values()) == 1
    assert inode  # most file systems give the same one again; where they do not, the test is that of a rotation


def _while_stopped(watch: Watch, change: Callable[[], None]) -> None:
    saved = watch.follower.save()
    watch.follower.close()
    change()
    watch.follower = Follower(str(watch.path), watch._lose, saved)
    watch.settle()


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

    _while_stopped(watch, rotate)
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

    _while_stopped(watch, change)
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

    _while_stopped(watch, change)
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

    _while_stopped(watch, change)
    assert watch.lines == [*numbered(0, 3), b"something else"]
    assert sum(watch.lost.values()) == 1


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

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collectors.model import BadInput, InUse
from daemon.state import StateDirectory
from tests.kit.slots import opened

HELD = b'{"version":1,"value":["kept"]}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_what_was_saved_is_loaded_by_the_next_daemon(folder: Path) -> None:
    first = opened(folder)
    assert first.slot("logs").save({"offset": 7, "name": "ü"}, 60)
    assert first.close(60)
    assert opened(folder).slot("logs").load(dict[str, int | str]) == {"offset": 7, "name": "ü"}


@pytest.mark.fault(6)
@pytest.mark.parametrize("name", [b"eth\xff", b"\xed\xb3\xbf", 'a"\u2028\0\n'.encode()])
def test_names_that_are_no_utf_8_are_saved_and_loaded(folder: Path, name: bytes) -> None:
    value = {os.fsdecode(name): [os.fsdecode(name), 1, None]}
    first = opened(folder)
    assert first.save("nic", value, 60)
    assert first.close(60)
    assert opened(folder).load("nic", dict[str, tuple[str, int, None]]) == {os.fsdecode(name): (os.fsdecode(name), 1, None)}


def test_nothing_saved_is_nothing_loaded(folder: Path) -> None:
    assert opened(folder).slot("logs").load(list[str]) == []


def test_files_have_no_permissions_for_others(folder: Path) -> None:
    assert opened(folder).save("logs", 1, 60)
    assert stat.S_IMODE((folder / "logs.json").stat().st_mode) == 0o600
    assert sorted(p.name for p in folder.iterdir()) == ["lock", "logs.json"]


def make_symlink(path: Path) -> None:
    target = path.parent.parent / "precious"
    target.write_bytes(HELD)
    path.symlink_to(target)


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(HELD[:-5]),
    "garbage": lambda path: path.write_bytes(bytes(range(256)) * 64),
    "invalid UTF-8": lambda path: path.write_bytes(b'{"version":1,"value":"\xff"}'),
    "nested": lambda path: path.write_bytes(b'{"version":1,"value":' + b"[" * 100_000),
    "another version": lambda path: path.write_bytes(b'{"version":99,"value":1}'),
    "another shape": lambda path: path.write_bytes(b"[1,2]"),
    "a directory": lambda path: path.mkdir(),
    "a symlink": make_symlink,
    "a symlink to itself": lambda path: path.symlink_to(path),
    "a FIFO": os.mkfifo,
    "too large": lambda path: path.write_bytes(b" " * (17 << 20)),
}


@pytest.mark.fault(27)
@pytest.mark.parametrize("damage", DAMAGE)
def test_an_unusable_state_file_is_set_aside(folder: Path, damage: str) -> None:
    folder.mkdir(mode=0o700)
    DAMAGE[damage](folder / "logs.json")
    state = opened(folder)
    slot = state.slot("logs")
    assert slot.load(list[str]) == []
    assert slot.save(["new"], 60)
    assert state.close(60)
    assert opened(folder).slot("logs").load(list[str]) == ["new"]
    assert os.path.lexists(folder / "logs.json.unusable"), "the unusable file is kept"
    if (precious := folder.parent / "precious").exists():
        assert precious.read_bytes() == HELD, "the symlink's target is untouched"


@pytest.mark.fault(27)
@pytest.mark.root
def test_a_state_file_of_another_owner_is_not_used(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "logs.json").write_bytes(HELD)
    os.chown(folder / "logs.json", 65534, 65534)
    assert opened(folder).slot("logs").load(list[str]) == []


@pytest.mark.fault(27)
@pytest.mark.root
def test_a_state_directory_of_another_owner_is_refused(folder: Path) -> None:
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    with pytest.raises(BadInput, match="owned by uid 65534"):
        StateDirectory(folder)


@pytest.mark.fault(27)
def test_a_state_directory_that_others_may_write_to_is_refused(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(BadInput, match="writable by others"):
        StateDirectory(folder)


@pytest.mark.fault(27)
def test_a_state_directory_that_is_a_symlink_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="not a directory"):
        StateDirectory(folder)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.fault(27)
def test_a_lock_that_is_a_symlink_is_refused(folder: Path, tmp_path: Path) -> None:
    folder.mkdir(mode=0o700)
    (tmp_path / "precious").write_text("precious")
    (folder / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(BadInput, match="lock"):
        StateDirectory(folder)
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.fault(28)
def test_a_second_process_is_refused_with_the_pid_of_the_first(folder: Path) -> None:
    held = StateDirectory(folder)
    code = "import sys; from pathlib import Path; from daemon.state import StateDirectory; StateDirectory(Path(sys.argv[1]))"
    second = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=False)
    assert second.returncode != 0
    assert f"another vitald (pid {os.getpid()})" in second.stderr
    held.close()
    assert subprocess.run([sys.executable, "-c", code, folder], check=False).returncode == 0


def test_two_daemons_in_one_process_are_two(folder: Path) -> None:
    held = StateDirectory(folder)
    with pytest.raises(InUse, match="another vitald"):
        StateDirectory(folder)
    held.close()


FULL_DISK = """
import ctypes, errno, os, sys
from pathlib import Path
from daemon.state_store import StateStore
folder = Path(sys.argv[1]); folder.mkdir(mode=0o700)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x00020000) == 0 and libc.mount(b"none", b"/", None, 0x44000, None) == 0  # our own mounts, private
assert libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, b"size=64k,mode=700") == 0
state = StateStore(folder, ["logs"])
state.finish_opening(60)
slot = state.slot("logs")
assert slot.save(["old"], 60)
(folder / "hog").write_bytes(b"x" * 48 * 1024)
assert slot.save(["y" * 60_000], 60) is False and state.failures == 1
assert "old" in (folder / "logs.json").read_text()
assert "logs.json.new" not in os.listdir(folder), "half a file is not left to fill the disk further"
os.unlink(folder / "hog")
assert slot.save(["new"], 60) and "new" in (folder / "logs.json").read_text()
print("held")
"""


@pytest.mark.fault(11)
@pytest.mark.root
def test_a_full_disk_leaves_the_old_state_and_is_counted(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, folder], capture_output=True, text=True, check=False)
    assert done.stdout == "held\n", done.stderr
    assert "No space left on device" in done.stderr

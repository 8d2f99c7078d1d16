from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.host.dmi import Platform, read_platform
from collectors.host.identity import HostIdentity, read_identity, read_line

if TYPE_CHECKING:
    from collections.abc import Mapping

BOOT_ID = "4f0c2b1e-8a53-4a5c-9d2e-0a1b2c3d4e5f"


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())


def identity(root: Path, hostname: str | bytes = "web1\n", boot_id: str = f"{BOOT_ID}\n") -> HostIdentity:
    write(
        root,
        {
            "proc/sys/kernel/hostname": hostname,
            "proc/sys/kernel/osrelease": "6.1.115-126.197.amzn2023.x86_64\n",
            "proc/sys/kernel/random/boot_id": boot_id,
        },
    )
    return read_identity(root / "proc", root)


def test_the_identity_is_the_kernels(tmp_path: Path) -> None:
    assert identity(tmp_path) == HostIdentity("web1", "6.1.115-126.197.amzn2023.x86_64", BOOT_ID)


def test_the_kernels_hostname_comes_before_the_file(tmp_path: Path) -> None:
    write(tmp_path, {"etc/hostname": "old\n"})
    assert identity(tmp_path).hostname == "web1"


@pytest.mark.parametrize("unset", ["(none)\n", "localhost\n", "localhost.localdomain\n"])
def test_without_a_hostname_in_the_kernel_the_file_is_read(tmp_path: Path, unset: str) -> None:
    write(tmp_path, {"etc/hostname": "# made by hand\n\n  db7  \n"})
    assert identity(tmp_path, unset).hostname == "db7"


@pytest.mark.fault(36)
def test_without_a_hostname_in_the_kernel_and_a_file_the_kernels_value_is_kept(tmp_path: Path) -> None:
    assert identity(tmp_path, "localhost\n").hostname == "localhost"


@pytest.mark.fault(36)
@pytest.mark.parametrize("boot_id", ["", "\n", "not a boot id\n", BOOT_ID[:-1]])
def test_a_boot_id_that_is_none_is_left_out(tmp_path: Path, boot_id: str) -> None:
    assert identity(tmp_path, boot_id=boot_id).boot_id == ""


@pytest.mark.fault(36)
def test_without_proc_sys_uname_is_called(tmp_path: Path) -> None:
    name = os.uname()
    assert read_identity(tmp_path / "nothing", tmp_path / "nothing") == HostIdentity(name.nodename, name.release, "")


@pytest.mark.fault(36)
def test_a_hostname_that_is_no_text_is_still_text(tmp_path: Path) -> None:
    assert identity(tmp_path, b"caf\xe9\n").hostname == "caf\ufffd"


@pytest.mark.fault(13)
def test_unreadable_files_are_empty(tmp_path: Path) -> None:
    directory, fifo = tmp_path / "directory", tmp_path / "fifo"
    directory.mkdir()
    os.mkfifo(fifo)
    assert [read_line(path) for path in (directory, fifo, tmp_path / "missing", tmp_path / "nul\0")] == [""] * 4


@pytest.mark.fault(13)
def test_a_file_without_read_permission_is_empty(tmp_path: Path) -> None:
    write(tmp_path, {"secret": "x"})
    (tmp_path / "secret").chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may read everything, the user `nobody` may not
    try:
        assert read_line(tmp_path / "secret") == ""
    finally:
        os.seteuid(user)


@pytest.mark.fault(13)
def test_a_proc_file_that_gives_eio_is_empty() -> None:
    assert read_line(Path("/proc/self/mem")) == ""  # opens, and the first read fails with EIO


NITRO = {"sys_vendor": "Amazon EC2\n", "board_asset_tag": "i-0af01c0123456789a\n", "bios_version": "1.0\n"}
XEN = {"sys_vendor": "Xen\n", "bios_version": "4.11.amazon\n", "board_asset_tag": "\n"}


def platform(root: Path, dmi: dict[str, str], uuid: str = "") -> Platform:
    write(root, {f"class/dmi/id/{name}": text for name, text in dmi.items()} | ({"hypervisor/uuid": uuid} if uuid else {}))
    return read_platform(root)


def test_nitro_has_its_name_and_the_instance_in_dmi(tmp_path: Path) -> None:
    assert platform(tmp_path, NITRO) == Platform("nitro", "i-0af01c0123456789a")


def test_nitro_with_another_tag_is_still_ec2(tmp_path: Path) -> None:
    assert platform(tmp_path, NITRO | {"board_asset_tag": "Amazon EC2\n"}) == Platform("nitro", "")


def test_xen_is_detected_by_its_bios(tmp_path: Path) -> None:
    assert platform(tmp_path, XEN) == Platform("xen")


@pytest.mark.parametrize("uuid", ["ec2e1916-9099-7caf-fd21-012345abcdef\n", "EC2E1916-9099-7CAF-FD21-012345ABCDEF\n"])
def test_xen_is_detected_by_its_uuid(tmp_path: Path, uuid: str) -> None:
    assert platform(tmp_path, {}, uuid) == Platform("xen")


@pytest.mark.parametrize(
    "dmi",
    [
        {},
        {"sys_vendor": "QEMU\n", "board_asset_tag": "i-0af01c0123456789a\n"},
        {"sys_vendor": "Amazon EC2 look-alike\n"},
        {"sys_vendor": "Xen\n", "bios_version": "4.11.1\n"},
        {"sys_vendor": "Dell Inc.\n"},
    ],
)
def test_another_machine_is_not_ec2(tmp_path: Path, dmi: dict[str, str]) -> None:
    found = platform(tmp_path, dmi, "00000000-0000-0000-0000-000000000000\n")
    assert not found.is_ec2
    assert found == Platform()

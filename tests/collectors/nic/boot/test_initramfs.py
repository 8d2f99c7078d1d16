"""What an initramfs holds, packed by cpio and the compressors that the distributions use, with modules of two real kernels."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from collectors.model import Level
from collectors.nic.boot.cpio import BadArchive, Stream, members
from collectors.nic.boot.initramfs_inspector import Contents
from collectors.nic.boot.kernel_watcher import DiskWatch, look
from collectors.nic.boot.kernels import Disk, Inside, releases
from collectors.nic.checks.next_boot import network_root, next_boot_verdicts
from collectors.nic.reading import Reading
from tests.collectors.nic.checks.test_next_boot import nic
from tests.kit.kernel_packages import MACHINE, MODULES

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.model import Verdict

pytestmark = pytest.mark.needs("cpio")
PACKERS = {
    "gzip": ["gzip", "-9n"],
    "xz": ["xz", "--check=crc32", "--lzma2=dict=1MiB"],  # as mkinitramfs does
    "zstd": ["zstd", "-q", "-19"],
    "lzma": ["xz", "--format=lzma"],
    "bzip2": ["bzip2"],
    "plain": ["cat"],
}


def archive(folder: Path) -> bytes:
    """Pack a folder as mkinitramfs and dracut do."""
    names = subprocess.run(["find", ".", "-mindepth", "1", "-printf", "%P\\0"], cwd=folder, check=True, capture_output=True).stdout
    words = ["cpio", "--quiet", "-o", "-0", "-H", "newc"]
    return subprocess.run(words, input=names, cwd=folder, check=True, capture_output=True).stdout


def initramfs(root: Path, folder: Path, *, packer: str = "gzip", files: dict[str, Path | bytes], early: bool = True) -> Path:
    """Make the next kernel's initramfs: an early archive of microcode, then the packed one."""
    release = releases(root)[-1]
    for name, content in {"bin/busybox": os.urandom(300_000), **files}.items():
        target = folder / "main" / name.format(release)
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            shutil.copy2(content, target)
    data = b""
    if early:
        (microcode := folder / "early/kernel/x86/microcode").mkdir(parents=True)
        (microcode / "GenuineIntel.bin").write_bytes(os.urandom(70_001))
        data = archive(folder / "early")
    packed = subprocess.run(PACKERS[packer], input=archive(folder / "main"), check=True, capture_output=True).stdout
    file = root / f"boot/initrd.img-{release}"
    file.write_bytes(data + packed)
    return file


def contents(root: Path, driver: str = "ixgbevf") -> Inside | None:
    disk = look(root, (driver,), MACHINE)
    assert disk is not None
    return _of(Contents().added(root, disk, (driver,)), driver)


def _of(disk: Disk, driver: str) -> Inside | None:
    inside = {kernel.release: kernel.modules[driver].inside for kernel in disk.kernels}
    assert not any(found for release, found in inside.items() if release != disk.next_kernel)
    return inside[disk.next_kernel]


def judged(root: Path, *, version: str = "", inside: Inside | None = None, cmdline: str = "root=LABEL=x", **wanted: Any) -> Verdict:
    """Judge with a module on disk of that version and an initramfs of that content; without `inside`, with what there really is."""
    disk = look(root, ("ixgbevf",), MACHINE)
    assert disk is not None
    if inside is None:
        disk = Contents().added(root, disk, ("ixgbevf",))
    kernels = []
    for kernel in disk.kernels:
        module = kernel.modules["ixgbevf"]
        changed = replace(module, version=version, inside=inside if inside is not None else module.inside)
        kernels.append(replace(kernel, modules={"ixgbevf": changed}))
    disk = replace(disk, kernels=tuple(kernels))
    (verdict,) = next_boot_verdicts(Reading(time.time() + 3600, releases(root)[0], (nic(**wanted),), disk=disk, cmdline=cmdline))
    return verdict


@pytest.mark.needs("gzip", "xz", "zstd", "bzip2")
@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("prefix", ["", "usr/"])
def test_the_module_is_found_however_it_is_packed(
    host: Path, kernels: Path, tmp_path_factory: pytest.TempPathFactory, packer: str, prefix: str
) -> None:
    module = kernels / "lib/modules" / releases(kernels)[-1] / MODULES["ixgbevf"]
    where = f"{prefix}lib/modules/{{}}/{MODULES['ixgbevf']}"
    initramfs(host, tmp_path_factory.mktemp("initramfs"), packer=packer, files={where: module})
    assert contents(host) == Inside(there=True)  # Debian's modules state no version
    assert contents(host, "ena") == Inside(there=False)


def test_another_kernels_module_is_not_this_ones(host: Path, kernels: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    module = kernels / "lib/modules" / releases(kernels)[-1] / MODULES["ixgbevf"]
    initramfs(host, tmp_path_factory.mktemp("initramfs"), files={f"lib/modules/6.0.0-other/{MODULES['ixgbevf']}": module})
    assert contents(host) == Inside(there=False)


@pytest.mark.needs("xz")
def test_a_packed_module_with_a_dash_in_its_name_is_found_too(host: Path, kernels: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    module = kernels / "lib/modules" / releases(kernels)[-1] / MODULES["xen_netfront"]
    packed = subprocess.run(["xz", "-c", module], check=True, capture_output=True).stdout
    initramfs(host, tmp_path_factory.mktemp("initramfs"), files={"usr/lib/modules/{}/kernel/drivers/net/xen-netfront.ko.xz": packed})
    assert contents(host, "xen_netfront") == Inside(there=True)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda data: data[: len(data) // 2], "ends in the middle"),
        (lambda data: data[:-9000] + bytes(100) + data[-8900:], "damaged"),
        (lambda _: b"no initramfs", "no archive that we know"),
        (lambda _: b"\x02\x21\x4c\x18" + bytes(50), "packed with lz4"),
        (lambda _: b"07070100000000", "ends in the middle"),
        (lambda _: b"070701" + b"z" * 200, "makes no sense"),
    ],
    ids=["truncated", "damaged", "text", "lz4", "short", "nonsense"],
)
def test_one_that_cannot_be_read_is_no_fault_and_says_why(
    host: Path, tmp_path_factory: pytest.TempPathFactory, spoil: Any, why: str
) -> None:
    file = initramfs(host, tmp_path_factory.mktemp("initramfs"), files={})
    file.write_bytes(spoil(file.read_bytes()))
    inside = contents(host)
    assert inside is not None
    assert inside.there is None
    assert why in inside.problem
    assert judged(host).level == Level.HEALTHY
    assert why in judged(host).evidence["initramfs"]


def test_what_is_squashed_cannot_be_told(host: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    initramfs(host, tmp_path_factory.mktemp("initramfs"), files={"squash-root.img": b"hsqs"})
    assert contents(host) == Inside(None, problem="what it holds is squashed")


@pytest.mark.fault(55)
def test_no_damage_lets_another_error_out(host: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = initramfs(host, tmp_path_factory.mktemp("initramfs"), files={"etc/a": b"a" * 999}).read_bytes()
    dice = random.Random(6)  # noqa: S311 — the same damage each time
    for _ in range(100):
        hurt = bytearray(whole[: dice.randint(1, len(whole))])
        for _ in range(dice.randint(0, 8)):
            hurt[dice.randrange(min(len(hurt), 2048))] = dice.randrange(256)
        pieces = iter([bytes(hurt)])
        with contextlib.suppress(BadArchive):
            assert all(len(member.name) <= 4096 for member in members(Stream(lambda pieces=pieces: next(pieces, b""))))  # type: ignore[misc]


def test_without_the_module_only_a_root_on_the_network_is_a_fault(host: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    initramfs(host, tmp_path_factory.mktemp("initramfs"), files={})
    local = judged(host)
    assert (local.level, local.evidence["initramfs"]) == (Level.HEALTHY, "holds no ixgbevf")
    remote = judged(host, cmdline="BOOT_IMAGE=/vmlinuz root=/dev/nfs nfsroot=10.0.0.9:/srv ip=dhcp")
    assert remote.level == Level.CRITICAL
    assert "has no ixgbevf, and this host's root is on the network (root=/dev/nfs): it would not boot" in remote.message
    assert "update-initramfs -u -k" in remote.remediation


@pytest.mark.parametrize(
    ("cmdline", "word"),
    [
        ("root=UUID=1 ro ip=dhcp", ""),
        ("root=/dev/nvme0n1p1 nfsrootdebug", ""),
        ("ro root=nfs4:10.0.0.9:/srv rw", "root=nfs4:10.0.0.9:/srv"),
        ("rd.iscsi.initiator=iqn.2026 root=LABEL=x", "rd.iscsi.initiator=iqn.2026"),
        ("netroot=iscsi:10.0.0.9::::iqn.x", "netroot=iscsi:10.0.0.9::::iqn.x"),
        ("root=dhcp", "root=dhcp"),
        ("quiet iscsi_target_ip=10.0.0.9", "iscsi_target_ip=10.0.0.9"),
    ],
)
def test_a_root_on_the_network_is_known_by_the_kernels_command_line(cmdline: str, word: str) -> None:
    assert network_root(cmdline) == word


def test_an_older_copy_inside_is_the_one_that_gets_loaded(host: Path) -> None:
    initrd = host / f"boot/initrd.img-{releases(host)[-1]}"
    initrd.write_bytes(b"x")
    same = judged(host, version="4.2.5", inside=Inside(there=True, version="4.2.5"))
    assert (same.level, same.evidence["initramfs"]) == (Level.HEALTHY, "holds ixgbevf 4.2.5")
    other = judged(host, version="4.2.5", inside=Inside(there=True, version="4.1.0"))
    assert other.level == Level.WARNING
    assert "holds another ixgbevf (4.1.0) than the disk (4.2.5): that copy gets loaded" in other.message
    below = judged(host, version="4.2.5", inside=Inside(there=True, version="4.1.0"), min_version="4.2.0")
    assert below.level == Level.CRITICAL


def test_it_is_unpacked_once_for_each_change(host: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ask(_self: Contents, file: Path, *_: Any) -> dict[str, Inside]:
        asked.append(file)
        return {"ixgbevf": Inside(there=True)}

    monkeypatch.setattr(Contents, "_ask", ask)
    file = initramfs(host, tmp_path_factory.mktemp("initramfs"), files={})
    held = Contents()
    disk = look(host, ("ixgbevf",), MACHINE)
    assert disk is not None
    for _ in range(3):
        held.added(host, disk, ("ixgbevf",))
    assert len(asked) == 1
    file.write_bytes(file.read_bytes() + bytes(4))
    held.added(host, disk, ("ixgbevf",))
    assert len(asked) == 2


def test_the_watch_answers_before_it_is_unpacked_and_tells_when_it_is(host: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    initramfs(host, tmp_path_factory.mktemp("initramfs"), files={})
    watch = DiskWatch(host, MACHINE, 3600.0)
    disk = watch.ask(("ixgbevf",), 60.0)
    assert disk is not None
    assert _of(disk, "ixgbevf") == Inside(there=False)
    watch.close()

"""Content of an initramfs, packed by cpio and the distributions' compressors, with modules of two real kernels."""

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
from collectors.nic.boot.cpio import InvalidArchive, Stream, members
from collectors.nic.boot.initramfs_inspector import InitramfsInspector
from collectors.nic.boot.kernel_watcher import KernelWatcher
from collectors.nic.boot.kernels import InitramfsModule, InstalledKernels, read_installed_kernels, releases
from collectors.nic.checks.next_boot import network_root, next_boot_verdicts
from collectors.nic.reading import NicReading
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
    """Pack a directory as mkinitramfs and dracut do."""
    names = subprocess.run(["find", ".", "-mindepth", "1", "-printf", "%P\\0"], cwd=folder, check=True, capture_output=True).stdout
    command = ["cpio", "--quiet", "-o", "-0", "-H", "newc"]
    return subprocess.run(command, input=names, cwd=folder, check=True, capture_output=True).stdout


def initramfs(root: Path, folder: Path, *, packer: str = "gzip", files: dict[str, Path | bytes], early: bool = True) -> Path:
    """Create the next kernel's initramfs: an early archive of microcode, then the compressed one."""
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


def contents(root: Path, driver: str = "ixgbevf") -> InitramfsModule | None:
    installed = read_installed_kernels(root, (driver,), MACHINE)
    assert installed is not None
    return _of(InitramfsInspector().inspect(root, installed, (driver,)), driver)


def _of(installed: InstalledKernels, driver: str) -> InitramfsModule | None:
    packed = {kernel.release: kernel.modules[driver].packed for kernel in installed.kernels}
    assert not any(found for release, found in packed.items() if release != installed.next_kernel)
    return packed[installed.next_kernel]


def judged(
    root: Path, *, version: str = "", packed: InitramfsModule | None = None, cmdline: str = "root=LABEL=x", **wanted: Any
) -> Verdict:
    """Judge with a module on disk of that version and an initramfs with the module `packed`; without it, with the real content."""
    installed = read_installed_kernels(root, ("ixgbevf",), MACHINE)
    assert installed is not None
    if packed is None:
        installed = InitramfsInspector().inspect(root, installed, ("ixgbevf",))
    kernels = []
    for kernel in installed.kernels:
        module = kernel.modules["ixgbevf"]
        changed = replace(module, version=version, packed=packed if packed is not None else module.packed)
        kernels.append(replace(kernel, modules={"ixgbevf": changed}))
    installed = replace(installed, kernels=tuple(kernels))
    (verdict,) = next_boot_verdicts(
        NicReading(time.time() + 3600, releases(root)[0], (nic(**wanted),), installed=installed, cmdline=cmdline)
    )
    return verdict


@pytest.mark.needs("gzip", "xz", "zstd", "bzip2")
@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("prefix", ["", "usr/"])
def test_the_module_is_found_in_every_compression(
    host: Path, kernels: Path, tmp_path_factory: pytest.TempPathFactory, packer: str, prefix: str
) -> None:
    module = kernels / "lib/modules" / releases(kernels)[-1] / MODULES["ixgbevf"]
    where = f"{prefix}lib/modules/{{}}/{MODULES['ixgbevf']}"
    initramfs(host, tmp_path_factory.mktemp("initramfs"), packer=packer, files={where: module})
    assert contents(host) == InitramfsModule(present=True)  # Debian's modules state no version
    assert contents(host, "ena") == InitramfsModule(present=False)


def test_another_kernels_module_does_not_count(host: Path, kernels: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    module = kernels / "lib/modules" / releases(kernels)[-1] / MODULES["ixgbevf"]
    initramfs(host, tmp_path_factory.mktemp("initramfs"), files={f"lib/modules/6.0.0-other/{MODULES['ixgbevf']}": module})
    assert contents(host) == InitramfsModule(present=False)


@pytest.mark.needs("xz")
def test_a_compressed_module_with_a_dash_in_its_name_is_found(host: Path, kernels: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    module = kernels / "lib/modules" / releases(kernels)[-1] / MODULES["xen_netfront"]
    packed = subprocess.run(["xz", "-c", module], check=True, capture_output=True).stdout
    initramfs(host, tmp_path_factory.mktemp("initramfs"), files={"usr/lib/modules/{}/kernel/drivers/net/xen-netfront.ko.xz": packed})
    assert contents(host, "xen_netfront") == InitramfsModule(present=True)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda data: data[: len(data) // 2], "ends in the middle"),
        (lambda data: data[:-9000] + bytes(100) + data[-8900:], "damaged"),
        (lambda _: b"no initramfs", "no known archive"),
        (lambda _: b"\x02\x21\x4c\x18" + bytes(50), "packed with lz4, which is not supported"),
        (lambda _: b"07070100000000", "ends in the middle"),
        (lambda _: b"070701" + b"z" * 200, "a header in it is invalid"),
    ],
    ids=["truncated", "damaged", "text", "lz4", "short", "nonsense"],
)
def test_an_unreadable_initramfs_is_no_fault_and_its_problem_is_evidence(
    host: Path, tmp_path_factory: pytest.TempPathFactory, damage: Any, problem: str
) -> None:
    file = initramfs(host, tmp_path_factory.mktemp("initramfs"), files={})
    file.write_bytes(damage(file.read_bytes()))
    packed = contents(host)
    assert packed is not None
    assert packed.present is None
    assert problem in packed.problem
    assert judged(host).level == Level.HEALTHY
    assert problem in judged(host).evidence["initramfs"]


def test_a_squashed_initramfs_is_unknown(host: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    initramfs(host, tmp_path_factory.mktemp("initramfs"), files={"squash-root.img": b"hsqs"})
    assert contents(host) == InitramfsModule(None, problem="its content is squashed")


@pytest.mark.fault(55)
def test_damage_raises_no_other_exception(host: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = initramfs(host, tmp_path_factory.mktemp("initramfs"), files={"etc/a": b"a" * 999}).read_bytes()
    dice = random.Random(6)  # noqa: S311 — the same damage each time
    for _ in range(100):
        damaged = bytearray(whole[: dice.randint(1, len(whole))])
        for _ in range(dice.randint(0, 8)):
            damaged[dice.randrange(min(len(damaged), 2048))] = dice.randrange(256)
        pieces = iter([bytes(damaged)])
        with contextlib.suppress(InvalidArchive):
            assert all(len(member.name) <= 4096 for member in members(Stream(lambda _, pieces=pieces: next(pieces, b""))))  # type: ignore[misc]


def test_without_the_module_only_a_root_on_the_network_is_a_fault(host: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    initramfs(host, tmp_path_factory.mktemp("initramfs"), files={})
    local = judged(host)
    assert (local.level, local.evidence["initramfs"]) == (Level.HEALTHY, "contains no ixgbevf")
    remote = judged(host, cmdline="BOOT_IMAGE=/vmlinuz root=/dev/nfs nfsroot=10.0.0.9:/srv ip=dhcp")
    assert remote.level == Level.CRITICAL
    assert "has no ixgbevf, and this host's root is on the network (root=/dev/nfs): it would not boot" in remote.message
    assert "update-initramfs -u -k" in remote.remediation


@pytest.mark.parametrize(
    ("cmdline", "parameter"),
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
def test_a_network_root_is_found_in_the_kernels_command_line(cmdline: str, parameter: str) -> None:
    assert network_root(cmdline) == parameter


def test_an_older_copy_in_the_initramfs_is_a_warning(host: Path) -> None:
    initrd = host / f"boot/initrd.img-{releases(host)[-1]}"
    initrd.write_bytes(b"x")
    same = judged(host, version="4.2.5", packed=InitramfsModule(present=True, version="4.2.5"))
    assert (same.level, same.evidence["initramfs"]) == (Level.HEALTHY, "contains ixgbevf 4.2.5")
    other = judged(host, version="4.2.5", packed=InitramfsModule(present=True, version="4.1.0"))
    assert other.level == Level.WARNING
    assert "contains another ixgbevf (4.1.0) than the disk (4.2.5): that copy gets loaded" in other.message
    below = judged(host, version="4.2.5", packed=InitramfsModule(present=True, version="4.1.0"), min_version="4.2.0")
    assert below.level == Level.CRITICAL


def test_an_initramfs_is_unpacked_once_per_change(
    host: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = []

    def ask(_self: InitramfsInspector, file: Path, *_: Any) -> dict[str, InitramfsModule]:
        unpacked.append(file)
        return {"ixgbevf": InitramfsModule(present=True)}

    monkeypatch.setattr(InitramfsInspector, "_ask", ask)
    file = initramfs(host, tmp_path_factory.mktemp("initramfs"), files={})
    inspector = InitramfsInspector()
    installed = read_installed_kernels(host, ("ixgbevf",), MACHINE)
    assert installed is not None
    for _ in range(3):
        inspector.inspect(host, installed, ("ixgbevf",))
    assert len(unpacked) == 1
    file.write_bytes(file.read_bytes() + bytes(4))
    inspector.inspect(host, installed, ("ixgbevf",))
    assert len(unpacked) == 2


def test_the_watcher_has_read_once_the_initramfs_is_unpacked(host: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    initramfs(host, tmp_path_factory.mktemp("initramfs"), files={})
    watcher = KernelWatcher(host, MACHINE, 3600.0)
    installed = watcher.latest(("ixgbevf",), 60.0)
    assert installed is not None
    assert _of(installed, "ixgbevf") == InitramfsModule(present=False)
    watcher.close()

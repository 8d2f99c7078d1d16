"""Modules of two real kernels, and what the next boot would do with them."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from collectors.model import Level
from collectors.nic.boot import next_kernel
from collectors.nic.disk import DiskWatch, look, signature
from collectors.nic.ethtool import Driver
from collectors.nic.kernels import Disk, read_module, releases
from collectors.nic.link import VIRTUAL, Device, Link
from collectors.nic.modinfo import Unreadable, parse_modinfo, read_modinfo
from collectors.nic.nextboot import next_boot_verdicts
from collectors.nic.policy import Wanted
from collectors.nic.reading import Nic, Reading
from tests.collectors.nic.kernel_packages import MODULES
from tests.collectors.nic.nic_lab import ENVIRONMENT, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.model import Verdict

MACHINE = os.uname().machine


@pytest.fixture
def host(kernels: Path, tmp_path: Path) -> Path:
    """A root of our own with both kernels: only their NIC modules and lists are copied."""
    for release in releases(kernels):
        for module in MODULES.values():
            target = tmp_path / "lib/modules" / release / module
            target.parent.mkdir(parents=True, exist_ok=True)
            if (kernels / "lib/modules" / release / module).exists():
                shutil.copy2(kernels / "lib/modules" / release / module, target)
        for name in ("modules.dep", "modules.builtin"):
            shutil.copy2(kernels / "lib/modules" / release / name, tmp_path / "lib/modules" / release / name)
        (tmp_path / "boot").mkdir(exist_ok=True)
        (tmp_path / f"boot/vmlinuz-{release}").write_bytes(b"kernel")
    return tmp_path


def nic(driver: str = "ixgbevf", **wanted: Any) -> Nic:
    link = Link("eth0", 2, 1500, up=True, carrier=True, carrier_changes=1, device=Device(physical=True, driver=driver, module=driver))
    return Nic(link, Driver(driver, "4.1.2"), wanted=Wanted(**wanted))


def judged(root: Path, running: int = 0, after: float = 3600.0, loaded: str = "", **wanted: Any) -> Verdict:
    """Judge `after` seconds from now: an installation has settled by then."""
    disk = look(root, ("ixgbevf",), MACHINE)
    assert disk is not None
    one = nic(**wanted)
    one = replace(one, link=replace(one.link, device=replace(one.link.device, version=loaded)))
    (verdict,) = next_boot_verdicts(Reading(time.time() + after, releases(root)[running], (one,), disk=disk))
    return verdict


@pytest.mark.parametrize("driver", MODULES)
def test_real_modules_say_what_modinfo_says(kernels: Path, driver: str) -> None:
    for release in releases(kernels):
        path = kernels / "lib/modules" / release / MODULES[driver]
        tags = read_modinfo(path, MACHINE)
        assert tags["name"] == driver
        assert tags["intree"] == "Y"
        assert tags["vermagic"].split()[0] == release
        if shutil.which("modinfo"):
            said = subprocess.run(["modinfo", "-F", "vermagic", path], check=True, capture_output=True, text=True).stdout
            assert said.strip() == tags["vermagic"].strip()


@pytest.mark.parametrize("suffix", ["gz", "xz", pytest.param("zst", marks=pytest.mark.needs("zstd"))])
def test_compressed_modules_are_read_alike(kernels: Path, tmp_path: Path, suffix: str) -> None:
    plain = kernels / "lib/modules" / releases(kernels)[0] / MODULES["ena"]
    packed = tmp_path / f"ena.ko.{suffix}"
    if suffix == "zst":
        subprocess.run(["zstd", "-q", plain, "-o", packed], check=True)
    else:
        packed.write_bytes((gzip if suffix == "gz" else lzma).compress(plain.read_bytes()))
    assert read_modinfo(packed) == read_modinfo(plain)


def test_a_bomb_is_refused_within_bounds(tmp_path: Path) -> None:
    bomb = tmp_path / "ena.ko.xz"
    bomb.write_bytes(lzma.compress(bytes(200 << 20), preset=0))
    with pytest.raises(Unreadable, match="larger than 64 MiB when decompressed"):
        read_modinfo(bomb)


def broken_modules(kernels: Path) -> Iterator[tuple[str, bytes]]:
    whole = (kernels / "lib/modules" / releases(kernels)[0] / MODULES["xen_netfront"]).read_bytes()
    yield "the file is empty", b""
    yield "truncated", whole[: len(whole) // 2]
    yield "truncated", whole[:70]
    yield "neither ELF", b"#!/bin/sh\n"
    yield "not a 64-bit ELF", b"\x7fELF\x01" + whole[5:]
    yield "cannot decompress", gzip.compress(whole)[:1000] and b"\x1f\x8b" + bytes(50)
    yield "cannot decompress", lzma.compress(whole)[:40] + bytes(100)
    yield "not a relocatable", Path("/proc/self/exe").read_bytes()


def test_files_that_are_no_modules_say_why(kernels: Path, tmp_path: Path) -> None:
    for words, content in broken_modules(kernels):
        path = tmp_path / "ena.ko"
        path.write_bytes(content)
        with pytest.raises(Unreadable, match=words):
            read_modinfo(path)


def test_a_module_of_another_architecture_is_refused(kernels: Path) -> None:
    path = kernels / "lib/modules" / releases(kernels)[0] / MODULES["ena"]
    with pytest.raises(Unreadable, match="another architecture"):
        read_modinfo(path, "aarch64" if MACHINE == "x86_64" else "x86_64")


def test_no_damage_to_a_module_lets_another_error_out(kernels: Path) -> None:
    whole = (kernels / "lib/modules" / releases(kernels)[0] / MODULES["xen_netfront"]).read_bytes()
    dice = random.Random(4)  # noqa: S311 — the same damage each time
    for _ in range(400):
        hurt = bytearray(whole[: dice.randint(1, len(whole))])
        for _ in range(dice.randint(0, 8)):
            hurt[dice.randrange(min(len(hurt), 4096))] = dice.randrange(256)
        with contextlib.suppress(Unreadable):
            parse_modinfo(bytes(hurt))


def test_two_whole_kernels_are_healthy_and_listed(host: Path) -> None:
    verdict = judged(host)
    assert verdict.level == Level.HEALTHY
    assert verdict.evidence["next_kernel"] == releases(host)[-1]
    assert verdict.evidence["kernels"] == ", ".join(f"{release} in-tree" for release in releases(host))


def test_a_next_kernel_without_the_module_is_told_before_the_reboot(host: Path) -> None:
    newest = releases(host)[-1]
    (host / "lib/modules" / newest / MODULES["ixgbevf"]).unlink()
    verdict = judged(host, min_version="4.1")
    assert verdict.level == Level.CRITICAL
    assert verdict.message.startswith(f"the next kernel {newest} has no ixgbevf >= 4.1 (modules.dep names")
    assert verdict.message.endswith("this host would come back on xen_netfront without enhanced networking")
    assert newest in verdict.mend
    assert verdict.mend.endswith("do not reboot before")


def test_a_dkms_module_that_the_next_kernel_lacks(host: Path) -> None:
    running, newest = releases(host)
    _dkms(host, running)
    verdict = judged(host)
    assert verdict.level == Level.WARNING
    assert f"the next kernel {newest} has only its in-tree ixgbevf" in verdict.message
    assert f"linux-headers-{newest}" in verdict.mend
    (host / "lib/modules" / newest / "build").mkdir()
    (host / "lib/modules" / newest / "build/Makefile").touch()
    assert judged(host).mend == f"dkms autoinstall -k {newest} && depmod {newest}; do not reboot before"


def _dkms(host: Path, release: str) -> None:
    folder = host / "lib/modules" / release
    (folder / "updates/dkms").mkdir(parents=True)
    shutil.copy2(folder / MODULES["ixgbevf"], folder / "updates/dkms/ixgbevf.ko")
    listed = (folder / "modules.dep").read_text().replace(f"{MODULES['ixgbevf']}:", "updates/dkms/ixgbevf.ko:")
    (folder / "modules.dep").write_text(listed)


def test_a_module_built_for_another_kernel_is_none(host: Path) -> None:
    older, newest = releases(host)
    shutil.copy2(host / "lib/modules" / older / MODULES["ixgbevf"], host / "lib/modules" / newest / MODULES["ixgbevf"])
    verdict = judged(host)
    assert verdict.level == Level.CRITICAL
    assert f"built for kernel {older}" in verdict.message


def test_an_initramfs_older_than_its_dkms_module_may_hold_the_old_one(host: Path) -> None:
    newest = releases(host)[-1]
    for release in releases(host):
        _dkms(host, release)
    initramfs = host / f"boot/initrd.img-{newest}"
    initramfs.touch()
    assert judged(host).level == Level.HEALTHY
    os.utime(initramfs, (1, 1))
    verdict = judged(host)
    assert verdict.level == Level.WARNING
    assert "it may hold an old copy" in verdict.message
    assert verdict.mend.startswith(f"update-initramfs -u -k {newest}")


def test_a_kernel_that_is_being_installed_is_not_judged_harshly_yet(host: Path) -> None:
    newest = releases(host)[-1]
    (host / "lib/modules" / newest / MODULES["ixgbevf"]).unlink()
    (host / "lib/modules" / newest / "modules.dep").unlink()  # and depmod has not run: this touches the folder, now
    verdict = judged(host, after=0.0)
    assert verdict.level == Level.WARNING
    assert "a build may still be running" in verdict.message


@pytest.mark.fault(36)
def test_a_kernel_that_is_installed_and_removed_while_we_look_does_no_harm(host: Path) -> None:
    older, newest = releases(host)
    source, target, stop = host / "aside", host / "lib/modules" / newest, threading.Event()
    shutil.copytree(target, source)

    def churn() -> None:
        while not stop.is_set():
            shutil.rmtree(target)
            (host / f"boot/vmlinuz-{newest}").unlink(missing_ok=True)
            shutil.copytree(source, target)
            (host / f"boot/vmlinuz-{newest}").touch()

    installer = threading.Thread(target=churn)
    installer.start()
    seen = set()
    try:
        for _ in range(150):
            signature(host)
            verdict = judged(host, after=0.0)
            seen.add((verdict.evidence["next_kernel"], verdict.level))
    finally:
        stop.set()
        installer.join()
    assert {level for _, level in seen} <= {Level.HEALTHY, Level.WARNING}
    assert {kernel for kernel, _ in seen} <= {older, newest}
    assert judged(host).level == Level.HEALTHY


@pytest.mark.fault(26)
def test_a_module_that_is_a_directory_or_a_fifo_holds_nobody_up(host: Path) -> None:
    newest = releases(host)[-1]
    path = host / "lib/modules" / newest / MODULES["ixgbevf"]
    path.unlink()
    path.mkdir()
    assert read_module(host, newest, "ixgbevf", MACHINE).problem.endswith("not a regular file")
    path.rmdir()
    os.mkfifo(path)
    assert read_module(host, newest, "ixgbevf", MACHINE).problem.endswith("not a regular file")
    verdict = judged(host)
    assert verdict.level == Level.CRITICAL
    assert "cannot load ixgbevf" in verdict.message


@pytest.mark.parametrize(("damage", "words"), [("truncated", "the file is truncated"), ("foreign", "built for another architecture")])
def test_a_next_kernel_with_a_damaged_module_is_told(host: Path, damage: str, words: str) -> None:
    path = host / "lib/modules" / releases(host)[-1] / MODULES["ixgbevf"]
    content = bytearray(path.read_bytes())
    if damage == "foreign":
        struct.pack_into("<H", content, 18, 183 if MACHINE == "x86_64" else 62)  # elf.h: e_machine
    path.write_bytes(content[: len(content) // 2] if damage == "truncated" else content)
    verdict = judged(host)
    assert verdict.level == Level.CRITICAL
    assert words in verdict.message
    assert verdict.mend


def test_the_loaded_driver_is_what_the_next_one_is_compared_with(host: Path) -> None:
    verdict = judged(host, running=1, loaded="4.1.2")  # the very kernel that runs: its DKMS module was taken off the disk since
    assert verdict.level == Level.WARNING
    assert "in use is 4.1.2: the driver would change" in verdict.message
    assert judged(host, running=1, loaded="4.1.0-k").level == Level.HEALTHY  # upstream dropped its numbers: no other driver


@pytest.mark.fault(13)
def test_no_kernels_mean_no_verdict(tmp_path: Path) -> None:
    assert look(tmp_path, ("ena",), MACHINE) is None
    (tmp_path / "lib/modules").mkdir(parents=True)
    assert look(tmp_path, ("ena",), MACHINE) is None
    assert list(next_boot_verdicts(Reading(0.0, "6.1.0", (nic(),)))) == []


UNPRIVILEGED = """
import os, sys, time
from pathlib import Path
from tests.collectors.nic.test_nic_modules import MACHINE, Reading, next_boot_verdicts, nic
from collectors.nic.disk import look
import encodings.idna, lzma, zlib
os.setgroups([]); os.setresgid(54321, 54321, 54321); os.setresuid(54321, 54321, 54321)
disk = look(Path(sys.argv[1]), ("ixgbevf",), MACHINE)
(verdict,) = next_boot_verdicts(Reading(time.time() + 3600, sys.argv[2], (nic(),), disk=disk))
print(int(verdict.level), verdict.message, verdict.evidence.get("chosen_by", ""), sep="|")
"""


@pytest.fixture
def public() -> Iterator[Path]:
    """Give a folder that everybody may enter: pytest's own are closed to others, again and again."""
    with tempfile.TemporaryDirectory(prefix="vnic", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.root
@pytest.mark.fault(13)
def test_in_the_units_sandbox_modules_are_read_under_another_name(host: Path, public: Path) -> None:
    newest, root = releases(host)[-1], public / "host"
    shutil.copytree(host, root)
    root.chmod(0o755)
    shutil.copytree(root / "lib/modules", root / "run/vitald-modules")
    (root / "lib/modules").chmod(0)
    done = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, root, newest], cwd=REPOSITORY, check=True, capture_output=True, text=True, env=ENVIRONMENT
    )
    assert done.stdout == "0||the newest installed\n"


@pytest.mark.root
@pytest.mark.fault(13)
@pytest.mark.parametrize(
    ("closed", "level", "words"),
    [
        ("lib/modules", 1, "cannot tell which driver the next boot brings: {root}/lib/modules: Permission denied"),
        (
            "lib/modules/{newest}",
            1,
            "cannot tell whether the next kernel {newest} has ixgbevf: {root}/lib/modules/{newest}/mod",
        ),
        ("lib/modules/{newest}/kernel", 1, "cannot tell whether the next kernel {newest} has ixgbevf: kernel/drivers"),
        ("boot/grub2", 0, "|the newest installed, since /boot/grub2/grubenv may not be read"),
    ],
)
def test_what_may_not_be_read_is_said_and_is_no_missing_driver(host: Path, public: Path, closed: str, level: int, words: str) -> None:
    newest, root = releases(host)[-1], public / "host"
    shutil.copytree(host, root)
    root.chmod(0o755)
    (root / "boot/grub2").mkdir()
    (root / closed.format(newest=newest)).chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, root, newest], cwd=REPOSITORY, check=True, capture_output=True, text=True, env=ENVIRONMENT
    )
    assert done.stdout.startswith(f"{level}|")
    assert words.format(root=root, newest=newest) in done.stdout


GRUB = """
set default="0"
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-1' {
	linux /boot/vmlinuz-6.1.0-56-cloud-amd64 root=/dev/x ro
}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-1' {
	menuentry 'Debian GNU/Linux, with Linux 6.1.0-56-cloud-amd64' $menuentry_id_option 'gnulinux-6.1.0-56-advanced-1' {
		linux /boot/vmlinuz-6.1.0-56-cloud-amd64 root=/dev/x ro
	}
	menuentry 'Debian GNU/Linux, with Linux 6.1.0-55-cloud-amd64' $menuentry_id_option 'gnulinux-6.1.0-55-advanced-1' {
		linux /boot/vmlinuz-6.1.0-55-cloud-amd64 root=/dev/x ro
	}
}
"""
INSTALLED = ("6.1.0-5-cloud-amd64", "6.1.0-55-cloud-amd64", "6.1.0-56-cloud-amd64")


@pytest.mark.parametrize(
    ("default", "environment", "expected", "by"),
    [
        (None, "", "6.1.0-56-cloud-amd64", "the newest installed"),
        ("0", "", "6.1.0-56-cloud-amd64", "GRUB_DEFAULT"),
        ("0", "saved_entry=gnulinux-6.1.0-55-advanced-1", "6.1.0-56-cloud-amd64", "GRUB_DEFAULT"),
        ("1>1", "", "6.1.0-55-cloud-amd64", "GRUB_DEFAULT"),
        ("saved", "saved_entry=gnulinux-advanced-1>gnulinux-6.1.0-55-advanced-1", "6.1.0-55-cloud-amd64", "grub's saved_entry"),
        ("saved", "saved_entry=Debian GNU/Linux, with Linux 6.1.0-55-cloud-amd64", "6.1.0-55-cloud-amd64", "grub's saved_entry"),
        ("0", "next_entry=1>1", "6.1.0-55-cloud-amd64", "grub's next_entry"),
        ("saved", "saved_entry=a kernel long gone", "6.1.0-56-cloud-amd64", "the newest installed"),
    ],
)
def test_grubs_word_on_the_next_kernel(tmp_path: Path, default: str | None, environment: str, expected: str, by: str) -> None:
    (tmp_path / "boot/grub").mkdir(parents=True)
    (tmp_path / "etc/default").mkdir(parents=True)
    (tmp_path / "boot/grub/grub.cfg").write_text(GRUB)
    (tmp_path / "boot/grub/grubenv").write_text(f"# GRUB Environment Block\n{environment}\n####")
    if default is not None:
        (tmp_path / "etc/default/grub").write_text(f'GRUB_TIMEOUT=0\nGRUB_DEFAULT="{default}"\n')
    assert next_kernel(tmp_path, INSTALLED) == (expected, by)


@pytest.mark.parametrize(
    ("saved", "expected"),
    [
        ("abc-6.1.140-154.222.amzn2023.x86_64", "6.1.140-154.222.amzn2023.x86_64"),
        ("1", "6.1.140-154.222.amzn2023.x86_64"),
        ("0", "6.1.148-173.267.amzn2023.x86_64"),
    ],
)
def test_bls_entries_are_sorted_newest_first(tmp_path: Path, saved: str, expected: str) -> None:
    installed = ("6.1.140-154.222.amzn2023.x86_64", "6.1.148-173.267.amzn2023.x86_64")
    entries = tmp_path / "boot/loader/entries"
    entries.mkdir(parents=True)
    for release in installed:
        (entries / f"abc-{release}.conf").write_text(f"title Amazon Linux ({release})\nversion {release}\nlinux /boot/vmlinuz-{release}\n")
    (tmp_path / "boot/grub2").mkdir()
    (tmp_path / "boot/grub2/grubenv").write_text(f"saved_entry={saved}\n")
    (tmp_path / "etc/default").mkdir(parents=True)
    (tmp_path / "etc/default/grub").write_text("GRUB_DEFAULT=saved\nGRUB_ENABLE_BLSCFG=true\n")
    assert next_kernel(tmp_path, installed)[0] == expected


def test_it_is_read_again_only_when_something_changed(host: Path) -> None:
    before = signature(host)
    assert signature(host) == before
    (host / "boot/grub").mkdir()
    assert signature(host) != before


def test_the_watch_sees_a_change_without_being_asked_to_wait(host: Path) -> None:
    watch = DiskWatch(host, MACHINE, 0.05)
    try:
        first = watch.ask(("ixgbevf",), 10.0)
        assert first is not None
        newest = releases(host)[-1]
        (host / "lib/modules" / newest / MODULES["ixgbevf"]).unlink()
        deadline = time.monotonic() + 20
        while (seen := watch.ask(("ixgbevf",))) is first and time.monotonic() < deadline:
            time.sleep(0.02)
        assert seen is not None
        assert next(k for k in seen.kernels if k.release == newest).modules["ixgbevf"].origin == "missing"
    finally:
        watch.close()


def test_without_a_device_behind_it_an_interface_has_no_next_boot(host: Path) -> None:
    disk = look(host, ("ixgbevf",), MACHINE)
    one = nic()
    assert isinstance(disk, Disk)
    assert not list(next_boot_verdicts(Reading(time.time(), "x", (replace(one, link=replace(one.link, device=VIRTUAL)),), disk=disk)))

"""The kernel that boots next, by grub and by BLS entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collectors.nic.boot.boot_loader import next_kernel

if TYPE_CHECKING:
    from pathlib import Path

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
        ("saved", "saved_entry=a kernel that was removed", "6.1.0-56-cloud-amd64", "the newest installed"),
    ],
)
def test_grub_chooses_the_next_kernel(tmp_path: Path, default: str | None, environment: str, expected: str, by: str) -> None:
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

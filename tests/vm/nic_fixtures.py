"""Capture /sys of guests whose network devices have no driver: `python -m tests.vm.nic_fixtures`, as root on Debian; not part of CI.

Two of Debian's kernels boot in qemu with an e1000 and a virtio network device: the cloud kernel, which lacks e1000, and the generic one
(nic_guest.py). The snapshots land in tests/collectors/nic/guests/MOMENT.tar.xz, both kernels' lists of modules and two of these in
guests/kernels.
"""

from __future__ import annotations

import lzma
import re
import tarfile
from pathlib import Path

from tests.vm.guest import ROOT, boot, empty_disk, make_disk, prepare_kernel, prepare_root

HERE = Path(__file__).parent
GUESTS = HERE.parent / "collectors/nic/guests"
DEVICES = (
    "-nic", "none",
    "-netdev", "user,id=a", "-device", "e1000,netdev=a,mac=52:54:00:00:00:0a",
    "-netdev", "user,id=b", "-device", "virtio-net-pci,netdev=b,mac=52:54:00:00:00:0b",
)  # fmt: skip
WANTED = re.compile(r"\b(?:e1000|virtio_net|virtio_pci|ena|ixgbevf|xen_netfront|8139cp|virtio-net)\b")
MODULES = ("kernel/drivers/net/ethernet/intel/e1000/e1000.ko", "kernel/drivers/net/virtio_net.ko")


def capture(flavour: str, files: tuple[Path, Path], disk: Path) -> None:
    """Boot one kernel, and unpack what the guest captured."""
    answer = empty_disk("nic-answer.img", 16)
    boot(files, [disk, answer], f"quiet init=/usr/bin/python3 -- /nic_guest.py {flavour}", *DEVICES)
    with tarfile.open(answer) as outer:
        for member in outer.getmembers():
            content = outer.extractfile(member)
            assert content is not None
            if member.name == "commands.txt":
                if text := content.read().decode():
                    (GUESTS / "commands.txt").write_text(text)
                continue
            (GUESTS / f"{member.name}.tar.xz").write_bytes(lzma.compress(content.read()))


def keep_kernel(release: str) -> None:
    """Keep the lines of depmod's lists that are about network drivers of virtual machines, and two of these, compressed."""
    source, target = ROOT / "usr/lib/modules" / release, GUESTS / "kernels/lib/modules" / release
    target.mkdir(parents=True, exist_ok=True)
    for name in ("modules.alias", "modules.dep", "modules.builtin"):
        lines = [line for line in (source / name).read_text().splitlines() if WANTED.search(line)]
        text = re.sub(r"/(e1000|virtio_net)\.ko:", r"/\1.ko.xz:", "".join(f"{line}\n" for line in lines))
        (target / name).write_text(text)
    for module in MODULES:
        if (source / module).exists():
            (target / module).parent.mkdir(parents=True, exist_ok=True)
            (target / f"{module}.xz").write_bytes(lzma.compress((source / module).read_bytes(), check=lzma.CHECK_CRC32))


def main() -> None:
    """Capture both kernels."""
    prepare_root()
    files = {"cloud": prepare_kernel("6.1", "cloud-amd64"), "generic": prepare_kernel("6.1")}
    disk = make_disk("nic-root.img", [HERE / "nic_guest.py"])
    GUESTS.mkdir(exist_ok=True)
    for flavour, pair in files.items():
        capture(flavour, pair, disk)
        keep_kernel(pair[0].name.removeprefix("vmlinuz-"))


if __name__ == "__main__":
    main()

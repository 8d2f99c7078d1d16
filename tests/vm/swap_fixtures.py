"""Capture /proc of guests that swap: `make vm-fixtures`, as root on Debian, some minutes for each guest; not part of CI.

Debian's kernels boot in qemu (guest.py), each with swap on a disk, with zswap and with zram (swap_guest.py). The files land in
tests/collectors/memory/fixtures as `swap-KERNEL-MODE-MOMENT`. Arguments (`6.1 zram`) limit both.
"""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

from tests.vm.guest import SUITES, boot, empty_disk, make_disk, prepare_kernel, prepare_root

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "collectors/memory/fixtures"
MODES = ("disk", "zswap", "zram")
MEMORY, SWAP, ANSWER = 1024, 3072, 16  # MiB
SECONDS = 1200  # of one guest, on a busy machine without KVM


def capture(kernel: str, mode: str, files: tuple[Path, Path], disk: Path) -> None:
    """Boot one guest, wait until it is off, and unpack what it captured."""
    disks = (disk, empty_disk("swap.img", SWAP), empty_disk("answer.img", ANSWER))
    console = boot(files, disks, f"quiet init=/usr/bin/python3 -- /swap_guest.py {mode}", mebibytes=MEMORY, seconds=SECONDS)
    if "capture complete" not in console:
        sys.exit(f"{kernel} {mode}: the guest failed\n{console}")
    with tarfile.open(disks[2]) as tar:
        for member in tar.getmembers():
            moment, _, path = member.name.partition("/")
            target = FIXTURES / f"swap-{kernel}-{mode}-{moment}" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            content = tar.extractfile(member)
            assert content is not None
            target.write_bytes(content.read())


def main() -> None:
    """Capture each kernel with each mode."""
    kernels = [word for word in sys.argv[1:] if word in SUITES] or list(SUITES)
    modes = [word for word in sys.argv[1:] if word in MODES] or list(MODES)
    prepare_root()
    files = {kernel: prepare_kernel(kernel) for kernel in kernels}
    disk = make_disk("swap-root.img", [HERE / "swap_guest.py"])
    for kernel in kernels:
        for mode in modes:
            capture(kernel, mode, files[kernel], disk)


if __name__ == "__main__":
    main()

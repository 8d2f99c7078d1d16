"""PID 1 of a guest that swaps to MODE (`disk`, `zswap` or `zram`); writes a tar with snapshots of /proc and /sys to /dev/vdc.

Two processes hold more memory than the guest has. The second one drives the first into swap (`out`), then the first reads all its pages
again (`in`): a page that was only read stays in the swap cache while it is mapped, so the kernel counts it in AnonPages and in SwapCached.
"""

import io
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

MIB = 1 << 20
FILES = (
    "proc/meminfo", "proc/vmstat", "proc/zoneinfo", "proc/net/sockstat", "proc/net/sockstat6", "proc/sys/kernel/osrelease", "proc/swaps",
    "proc/self/mountinfo", "sys/module/zswap/parameters/enabled", "sys/module/zswap/parameters/zpool", "sys/block/zram0/mm_stat",
    "sys/kernel/mm/lru_gen/enabled",
)  # fmt: skip
HOLD = """
import mmap, sys
pages = mmap.mmap(-1, int(sys.argv[1]) << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
with open("/dev/urandom", "rb") as noise:
    block = b"".join(noise.read(1024) + bytes(3072) for _ in range(64))
for start in range(0, len(pages), len(block)):
    pages[start : start + len(block)] = block
    if start % (64 << 20) == 0:
        print("wrote", flush=True)
print("filled", flush=True)
for line in sys.stdin:
    for start in range(0, len(pages), 4096):
        pages[start]
        if start % (64 << 20) == 0:
            print("read", flush=True)
    print("done", flush=True)
"""


def sh(command: str) -> None:
    """Run a command; a failure ends the guest, and with it the capture."""
    subprocess.run(command, shell=True, check=True)  # noqa: S602 — the guest has nothing to protect


def write(path: str, text: str) -> None:
    """Write a kernel parameter."""
    Path(path).write_text(text)


def hold(mebibytes: int) -> subprocess.Popen[str]:
    """Start a process that fills anonymous memory; each line from stdin makes it read all of it."""
    words = [sys.executable, "-c", HOLD, str(mebibytes)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def lines(process: subprocess.Popen[str], last: str) -> int:
    """Wait for a line; return how many came before."""
    assert process.stdout is not None
    for number, line in enumerate(process.stdout):
        if line.strip() == last:
            return number
    raise RuntimeError(f"{last}: the process ended with {process.wait()}")


def swap_on(mode: str) -> None:
    """Switch swap on: on the second disk, with zswap in front of it, or on zram."""
    device = "/dev/vdb"
    if mode == "zram":
        sh("modprobe zram num_devices=1")
        write("/sys/block/zram0/disksize", str(3 << 30))
        device = "/dev/zram0"
    write("/sys/module/zswap/parameters/enabled", "Y" if mode == "zswap" else "N")
    sh(f"mkswap {device} >/dev/null && swapon {device}")


class Captures:
    """Snapshots of the files, in one tar."""

    def __init__(self) -> None:
        """Keep the tar in memory: writing it meanwhile would be page cache."""
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w")  # noqa: SIM115 — closed by save()

    def take(self, name: str) -> None:
        """Read all files at once, then add them."""
        found = {}
        for path in FILES:
            try:
                found[path] = Path("/", path).read_bytes()
            except OSError:
                continue  # this kernel does not have it
        for path, content in found.items():
            info = tarfile.TarInfo(f"{name}/{path}")
            info.size = len(content)
            self._tar.addfile(info, io.BytesIO(content))
        print("captured", name, flush=True)

    def save(self) -> None:
        """Write the tar to the third disk."""
        self._tar.close()
        with open("/dev/vdc", "wb") as disk:  # noqa: PTH123
            disk.write(self._buffer.getvalue())


def main() -> None:
    """Swap, and capture before, while pages go out, while they come in, and after."""
    mode, megabytes = sys.argv[1], 0
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    captures = Captures()
    with open("/proc/meminfo") as meminfo:  # noqa: PTH123
        megabytes = int(meminfo.readline().split()[1]) >> 10
    swap_on(mode)
    captures.take("before")
    first = hold(megabytes * 3 // 4)
    lines(first, "filled")
    second = hold(megabytes // 2)
    assert second.stdout is not None
    for _ in range(megabytes // 2 // 64 * 3 // 4):
        second.stdout.readline()
    captures.take("out")
    lines(second, "filled")
    second.kill()
    second.wait()
    assert first.stdin is not None
    assert first.stdout is not None
    first.stdin.write("\n")
    first.stdin.flush()
    for _ in range(megabytes * 3 // 4 // 64 * 3 // 4):
        first.stdout.readline()
    captures.take("in")
    lines(first, "done")
    time.sleep(2)
    captures.take("after")
    captures.save()


try:
    main()
    print("capture complete", flush=True)
finally:
    os.sync()
    Path("/proc/sysrq-trigger").write_text("o")
    time.sleep(60)

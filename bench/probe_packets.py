"""Resident memory of the main process while path-MTU rounds run: the helper process takes it and releases it."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kit.netns import inside, ip, namespace
from tests.kit.program import Program
from tests.kit.results import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

ISSUE = 3
TARGETS = 20
BAR = 256 << 10  # bytes: what two equal daemons differ by from one start to the next
_LENGTH = float(os.environ.get("VITALD_BENCH_SECONDS", "60"))
_WARM_UP = 15.0
SETTINGS = '[probe]\ninterval = "1s"\ntimeout = "900ms"\ntargets = {targets!r}\n[path_mtu]\nenabled = {enabled}\ninterval = "2s"\n'
LISTEN = "import socket, sys, time\nheld = [socket.create_server(('', 7000 + n)) for n in range(int(sys.argv[1]))]\ntime.sleep(3600)\n"


def measure(folder: Path) -> list[Row]:
    """Run one daemon with rounds every 2 s beside one without, and compare what each has grown by."""
    with (
        network() as (near, far),
        Program("listen", inside(far, sys.executable, "-c", LISTEN, str(TARGETS)), folder),
        _vitald(folder, near, "true") as rounds,
        _vitald(folder, near, "false") as still,
    ):
        time.sleep(_WARM_UP)
        before = [_rss(one.pid) for one in (rounds, still)]
        children, largest = _watch(rounds.pid, _LENGTH)
        after = [_rss(one.pid) for one in (rounds, still)]
    grown = [later - earlier for earlier, later in zip(before, after, strict=True)]
    title = f"main process: growth while {len(children)} path-MTU rounds to {TARGETS} targets run, {_LENGTH:.0f} s"
    enough = len(children) >= _LENGTH / 6
    return [
        Row(
            title,
            f"≤ +{BAR >> 10} KB more than without",
            f"{grown[0] / 1024:+.0f} KB (to {after[0] / 1e6:.1f} MB)",
            f"vitald without path_mtu {grown[1] / 1024:+.0f} KB (to {after[1] / 1e6:.1f} MB)",
            "-",
            grown[0] - grown[1] <= BAR and enough,
            "" if enough else f"only {len(children)} rounds were seen",
        ),
        Row("the packet child at its largest", "-", f"{largest / 1e6:.1f} MB, for a round", "-", "-", None),
    ]


@contextmanager
def network() -> Iterator[tuple[str, str]]:
    """Return two network namespaces with a wire of 9001 bytes between them: 10.79.1.1 and 10.79.1.2."""
    with namespace() as near, namespace() as far:
        ip("link", "add", "wire", "netns", near, "type", "veth", "peer", "name", "wire", "netns", far)
        for end, where in enumerate((near, far), 1):
            ip("-n", where, "addr", "add", f"10.79.1.{end}/24", "dev", "wire")
            ip("-n", where, "link", "set", "wire", "mtu", "9001", "up")
            ip("-n", where, "link", "set", "lo", "up")
        yield near, far


def _vitald(folder: Path, near: str, enabled: str) -> Program:
    file = folder / f"{enabled}.toml"
    file.write_text(SETTINGS.format(targets=[f"10.79.1.2:{7000 + n}" for n in range(TARGETS)], enabled=enabled))
    (folder / f"{enabled}.state").mkdir()
    flags = [f"--config.file={file}", "--web.listen-address=127.0.0.1:0", f"--state.directory={folder / enabled}.state"]
    return Program(enabled, inside(near, str(Path(sys.executable).with_name("vitald")), "run", *flags), folder)


def _rss(pid: int) -> int:
    """Read the resident memory of this one process, without its children (proc_pid_statm(5))."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _watch(pid: int, length: float) -> tuple[set[str], int]:
    """Collect the children that come and go, and the most memory that one of them had."""
    seen: set[str] = set()
    largest, deadline = 0, time.monotonic() + length
    while time.monotonic() < deadline:
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                now = path.read_text().split()
                largest = max([largest, *(_rss(int(child)) for child in now)])
            except (OSError, ValueError, IndexError):
                continue
            seen.update(now)
        time.sleep(0.02)
    return seen, largest

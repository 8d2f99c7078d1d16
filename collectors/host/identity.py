"""Host identity in the kernel: hostname, release and boot id."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.files import read_boot_id, read_once

if TYPE_CHECKING:
    from pathlib import Path

_UNSET = {"", "(none)", "localhost", "localhost.localdomain"}  # the kernel's own default and systemd's (hostname(5))
_LONGEST = 256  # bytes; a hostname has at most 64 (UTS_LEN), the kernel's release too


@dataclass(frozen=True, slots=True)
class HostIdentity:
    """Empty strings where a value could not be read."""

    hostname: str = ""
    kernel: str = ""
    boot_id: str = ""


def read_identity(proc: Path, root: Path, *, is_recorded: bool = False) -> HostIdentity:
    """Read /proc/sys/kernel (proc_sys_kernel(5)) and, where no hostname is set there, /etc/hostname. Never raises.

    The kernel's hostname comes first: it is in the logs of this host, and DHCP may have set it. uname(2) returns the same two values
    where /proc/sys is not accessible, but says nothing of a recorded host.
    """
    nodename, release = ("", "") if is_recorded else (os.uname().nodename, os.uname().release)
    kernel = proc / "sys/kernel"
    hostname = read_line(kernel / "hostname") or nodename
    if hostname in _UNSET:
        hostname = read_line(root / "etc/hostname") or hostname
    return HostIdentity(hostname=hostname, kernel=read_line(kernel / "osrelease") or release, boot_id=read_boot_id(proc))


def read_line(path: Path) -> str:
    """Return the first line of a small file that is no comment, stripped; empty where there is none or it is not readable.

    Never blocks: a FIFO in the file's place reads as empty.
    """
    try:
        text = read_once(path, _LONGEST).decode(errors="replace")
    except (OSError, ValueError):
        return ""
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if line and not line.startswith("#")), "")

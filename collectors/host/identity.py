"""What the kernel calls this host: hostname, release and boot id."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.files import read_once

if TYPE_CHECKING:
    from pathlib import Path

_UNSET = {"", "(none)", "localhost", "localhost.localdomain"}  # the kernel's own default and systemd's (hostname(5))
_BOOT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_LONGEST = 256  # bytes; a hostname has at most 64 (UTS_LEN), the kernel's release too


@dataclass(frozen=True, slots=True)
class Identity:
    """Empty strings are what could not be read."""

    hostname: str = ""
    kernel: str = ""
    boot_id: str = ""


def read_identity(proc: Path, root: Path) -> Identity:
    """Read /proc/sys/kernel (proc_sys_kernel(5)) and, where the kernel was told no name, /etc/hostname. Never raises.

    The kernel's own word comes first: it is what the logs of this host carry, and DHCP may have set it. uname(2) says the same two
    words where /proc/sys is hidden from us.
    """
    kernel = proc / "sys/kernel"
    hostname = read_word(kernel / "hostname") or os.uname().nodename
    if hostname in _UNSET:
        hostname = read_word(root / "etc/hostname") or hostname
    boot_id = read_word(kernel / "random/boot_id").lower()
    return Identity(
        hostname=hostname,
        kernel=read_word(kernel / "osrelease") or os.uname().release,
        boot_id=boot_id if _BOOT_ID.fullmatch(boot_id) else "",
    )


def read_word(path: Path) -> str:
    """Give the first line of a small file that is not a comment, stripped; empty where there is none or we may not read it.

    It cannot hang: a FIFO in the file's place reads as empty.
    """
    try:
        text = read_once(path, _LONGEST).decode(errors="replace")
    except (OSError, ValueError):
        return ""
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if line and not line.startswith("#")), "")

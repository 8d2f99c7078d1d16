"""How full the kernel's connection tracking is: Documentation/networking/nf_conntrack-sysctl.rst."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def full(proc: Path) -> bool:
    """Tell whether the table has no room; False where there is no such table or we may not read it.

    Once full, the kernel drops every new connection's first packet (nf_conntrack_alloc() in net/netfilter/nf_conntrack_core.c).
    The two files are of the reader's own network namespace.
    """
    folder = proc / "sys/net/netfilter"
    try:
        count, most = (int((folder / name).read_text()) for name in ("nf_conntrack_count", "nf_conntrack_max"))
    except (OSError, ValueError):
        return False
    return 0 < most <= count

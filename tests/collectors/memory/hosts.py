"""Ledgers of the fixture hosts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from collectors.memory.ledger import ExtraCounters, Ledger, ledger
from collectors.memory.procfs.meminfo import read_meminfo
from collectors.memory.procfs.net import read_sockstat
from collectors.memory.procfs.reserved import hugepage_bytes
from collectors.memory.procfs.swap import compressed_swap_bytes
from collectors.memory.procfs.vmstat import ISOLATED, read_cpu_lists, read_vmstat
from collectors.memory.procfs.zfs import read_arc

if TYPE_CHECKING:
    from collections.abc import Mapping

FIXTURES = Path(__file__).parent / "fixtures"
HOSTS = sorted(folder.name for folder in FIXTURES.iterdir() if (folder / "proc/meminfo").exists() and folder.name != "lxcfs-5.0")


def ledger_of(name: str, change: Mapping[str, int] | None = None, *, leave_out: tuple[str, ...] = (), balloon: int = 0) -> Ledger:
    """Return the ledger of a fixture host, with some fields changed (bytes) or left out."""
    folder = FIXTURES / name
    fields = {k: v for k, v in {**read_meminfo(folder / "proc"), **(change or {})}.items() if k not in leave_out}
    counters = read_vmstat(folder / "proc")
    return ledger(
        fields,
        ExtraCounters(
            hugepages=hugepage_bytes(fields, folder / "sys"),
            balloon=balloon,
            cpu_lists=read_cpu_lists(folder / "proc", 4096),
            isolated=sum(counters.get(field, 0) for field in ISOLATED) * 4096,
            compressed_swap=compressed_swap_bytes(fields, counters, 4096, folder / "sys"),
            arc=read_arc(folder / "proc"),
            sockets=read_sockstat(folder / "proc", 4096),
        ),
    )

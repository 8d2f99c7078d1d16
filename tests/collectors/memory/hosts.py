"""Ledgers of the fixture hosts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from collectors.memory.ledger import ExtraCounters, Ledger, ledger
from collectors.memory.procfs.meminfo import read_meminfo
from collectors.memory.procfs.net import read_sockstat
from collectors.memory.procfs.reserved import hugepage_bytes
from collectors.memory.procfs.vmstat import read_cpu_lists, read_vmstat
from collectors.memory.procfs.zfs import read_arc

if TYPE_CHECKING:
    from collections.abc import Mapping

FIXTURES = Path(__file__).parent / "fixtures"
HOSTS = sorted(folder.name for folder in FIXTURES.iterdir() if (folder / "proc/meminfo").exists() and folder.name != "lxcfs-5.0")


def ledger_of(name: str, change: Mapping[str, int] | None = None, *, leave_out: tuple[str, ...] = (), balloon: int = 0) -> Ledger:
    """Return the ledger of a fixture host, with some fields changed (bytes) or left out."""
    folder = FIXTURES / name
    fields = {k: v for k, v in {**read_meminfo(folder / "proc"), **(change or {})}.items() if k not in leave_out}
    zspages = read_vmstat(folder / "proc").get("nr_zspages")
    return ledger(
        fields,
        ExtraCounters(
            hugepages=hugepage_bytes(fields, folder / "sys"),
            balloon=balloon,
            cpu_lists=read_cpu_lists(folder / "proc", 4096),
            zspages=None if zspages is None else zspages * 4096,
            arc=read_arc(folder / "proc"),
            sockets=read_sockstat(folder / "proc", 4096),
        ),
    )

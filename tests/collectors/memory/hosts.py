"""The fixture hosts, as ledgers, and a slot that keeps what it is given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from collectors.memory.ledger import Besides, Ledger, ledger
from collectors.memory.procfs import hugepages, meminfo, sockstat, vmstat, zfs, zoneinfo

if TYPE_CHECKING:
    from collections.abc import Mapping

FIXTURES = Path(__file__).parent / "fixtures"
HOSTS = sorted(folder.name for folder in FIXTURES.iterdir() if (folder / "proc/meminfo").exists() and folder.name != "lxcfs-5.0")


def books(name: str, change: Mapping[str, int] | None = None, *, leave_out: tuple[str, ...] = (), balloon: int = 0) -> Ledger:
    """The ledger of a fixture host, with some fields changed (bytes) or left out."""
    folder = FIXTURES / name
    fields = {k: v for k, v in {**meminfo.read(folder / "proc"), **(change or {})}.items() if k not in leave_out}
    zspages = vmstat.read(folder / "proc").get("nr_zspages")
    return ledger(
        fields,
        Besides(
            hugepages=hugepages.reserved(fields, folder / "sys"),
            balloon=balloon,
            lists=zoneinfo.read(folder / "proc", 4096),
            zspages=None if zspages is None else zspages * 4096,
            arc=zfs.read(folder / "proc"),
            sockets=sockstat.read(folder / "proc", 4096),
        ),
    )

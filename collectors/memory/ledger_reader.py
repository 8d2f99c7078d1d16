"""Reader of the ledger: the files of one host that it is computed from, a third of a millisecond each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.ledger import ExtraCounters, Ledger, ledger
from collectors.memory.procfs.meminfo import container_view, read_meminfo
from collectors.memory.procfs.net import read_sockstat
from collectors.memory.procfs.reserved import balloon_bytes, balloon_stays_in_total, hugepage_bytes
from collectors.memory.procfs.swap import compressed_swap_bytes
from collectors.memory.procfs.vmstat import ISOLATED, read_cpu_lists, read_vmstat
from collectors.memory.procfs.zfs import read_arc
from collectors.model import Unavailable
from collectors.text import printable

if TYPE_CHECKING:
    from pathlib import Path


class LedgerReader:
    """Reads the ledger of one host; `page` is its page size in bytes."""

    def __init__(self, proc: Path, sys: Path, page: int) -> None:
        self._proc, self._sys, self._page = proc, sys, page
        self._balloon_stays: bool | None = None

    def read(self) -> Ledger:
        """Read the ledger. Raises `Unavailable` where there is none, or where meminfo is a container's own view and not the host's."""
        proc, page = self._proc, self._page
        fields = read_meminfo(proc)
        cpu_lists = read_cpu_lists(proc, page)  # straight after: pages go to and fro between these two
        counters = read_vmstat(proc)
        extra = ExtraCounters(
            hugepages=hugepage_bytes(fields, self._sys),
            balloon=balloon_bytes(counters, page) if self._is_balloon_in_total() else 0,
            cpu_lists=cpu_lists,
            isolated=sum(counters.get(name, 0) for name in ISOLATED) * page,
            compressed_swap=compressed_swap_bytes(fields, counters, page, self._sys),
            arc=read_arc(proc),
            sockets=read_sockstat(proc, page),
        )
        found = ledger(fields, extra)
        if not found.consistent:
            reason = f"{proc}/meminfo: its counters exceed MemTotal by {-found.excess >> 20} MB, so they are not those of one host"
            raise Unavailable("failing", reason)
        return found

    def _is_balloon_in_total(self) -> bool:
        """Read once, with the first ledger, what does not change while a host runs."""
        if self._balloon_stays is None:
            if file_system := container_view(self._proc):
                view = f"{self._proc}/meminfo is a container's own view ({printable(file_system)[:40]} is mounted over it)"
                raise Unavailable("failing", view, "run vitald on the host, outside of the container")
            self._balloon_stays = balloon_stays_in_total(self._sys)
        return self._balloon_stays

"""Reader of the ledger: the files of one host that it is computed from, a third of a millisecond each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.ledger import ExtraCounters, Ledger, ledger
from collectors.memory.procfs.meminfo import is_container_view, read_meminfo
from collectors.memory.procfs.net import read_sockstat
from collectors.memory.procfs.reserved import balloon_bytes, balloon_stays_in_total, hugepage_bytes
from collectors.memory.procfs.small_files import text_or_none
from collectors.memory.procfs.vmstat import read_cpu_lists, read_vmstat
from collectors.memory.procfs.zfs import read_arc
from collectors.model import Unavailable

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
        zspages = counters.get("nr_zspages")
        extra = ExtraCounters(
            hugepages=hugepage_bytes(fields, self._sys),
            balloon=balloon_bytes(counters, page) if self._is_balloon_in_total() else 0,
            cpu_lists=cpu_lists,
            zspages=None if zspages is None else zspages * page,
            arc=read_arc(proc),
            sockets=read_sockstat(proc, page),
        )
        found = ledger(fields, extra)
        if not found.consistent:
            reason = f"{proc}/meminfo: its counters exceed MemTotal by {-found.excess >> 20} MB; a container's own view?"
            raise Unavailable("missing", reason)
        return found

    def _is_balloon_in_total(self) -> bool:
        """Read once, with the first ledger, what does not change while a host runs."""
        if self._balloon_stays is None:
            if is_container_view(text_or_none(f"{self._proc}/self/mountinfo") or ""):
                reason = f"{self._proc}/meminfo is a container's own view (lxcfs), not the host's; run vitald on the host"
                raise Unavailable("missing", reason)
            self._balloon_stays = balloon_stays_in_total(self._sys)
        return self._balloon_stays

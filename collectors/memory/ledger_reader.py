"""Takes a host's ledger: reads what it needs and puts it together, a third of a millisecond each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.ledger import Besides, Ledger, ledger
from collectors.memory.procfs import balloon, hugepages, meminfo, sockstat, vmstat, zfs, zoneinfo
from collectors.memory.procfs.small_files import text_or_none
from collectors.model import Unavailable

if TYPE_CHECKING:
    from pathlib import Path


class Books:
    """The readers of one host; `page` is its page size in bytes."""

    def __init__(self, proc: Path, sys: Path, page: int) -> None:
        self._proc, self._sys, self._page = proc, sys, page
        self._balloon_stays: bool | None = None

    def take(self) -> Ledger:
        """Read the ledger. Raises `Unavailable` where there is none, or where it is a container's own view and not the host's."""
        proc, page = self._proc, self._page
        fields = meminfo.read(proc)
        lists = zoneinfo.read(proc, page)  # straight after: pages go to and fro between these two
        counters = vmstat.read(proc)
        zspages = counters.get("nr_zspages")
        besides = Besides(
            hugepages=hugepages.reserved(fields, self._sys),
            balloon=balloon.inside(counters, page) if self._stays() else 0,
            lists=lists,
            zspages=None if zspages is None else zspages * page,
            arc=zfs.read(proc),
            sockets=sockstat.read(proc, page),
        )
        books = ledger(fields, besides)
        if not books.consistent:
            reason = f"{proc}/meminfo: its counters exceed MemTotal by {-books.excess >> 20} MB; a container's own view?"
            raise Unavailable("missing", reason)
        return books

    def _stays(self) -> bool:
        """Ask once, with the first ledger, what does not change while a host runs."""
        if self._balloon_stays is None:
            if meminfo.is_a_containers(text_or_none(self._proc / "self/mountinfo") or ""):
                reason = f"{self._proc}/meminfo is a container's own view (lxcfs), not the host's; run vitald on the host"
                raise Unavailable("missing", reason)
            self._balloon_stays = balloon.stays_in_total(self._sys)
        return self._balloon_stays

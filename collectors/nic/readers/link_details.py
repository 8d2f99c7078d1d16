"""Queues, rings and other names of the interfaces, for `vitald check`: what costs a child with pyroute2, and so is asked once only."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from collectors.helper_process import HelperFailed
from collectors.netlink.link_details import LinkDetailsClient
from collectors.netlink.link_details_messages import LinkQuestion
from collectors.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from collectors.netlink.link_details_messages import LinkDetails


COLUMNS = ("interface", "also called", "part of", "queues", "ring rx/tx", "waits in", "dropped")
DROPS = ("rx_dropped", "tx_dropped", "rx_missed_errors", "rx_fifo_errors")

log = logging.getLogger(__name__)


class Depth:
    """Asks once, where a person waits for it (`wanted`)."""

    def __init__(self, *, wanted: bool) -> None:
        self._child = LinkDetailsClient() if wanted else None
        self._known: Mapping[str, LinkDetails] = {}

    def ask(self, names: Iterable[str]) -> Mapping[str, LinkDetails]:
        """Give what is known of these interfaces; nothing where that cannot be had."""
        child, self._child = self._child, None
        if child is not None:
            try:
                self._known = child.ask(LinkQuestion(links=tuple(names))).links
            except HelperFailed as why:
                log.warning("queues and rings are not shown: %s", why)
        return self._known


def panels(links: Mapping[str, LinkDetails]) -> Iterator[Panel]:
    """Give them as a table, those that drop most first."""
    if links:
        worst = sorted(links.values(), key=lambda link: (-_lost(link), link.name))
        yield Panel("Queues and rings", COLUMNS, tuple(_row(link) for link in worst))


def _row(link: LinkDetails) -> tuple[str, ...]:
    kinds = list(dict.fromkeys(queue.kind for queue in link.queues))
    queues = str(link.channels[0]) + _of(link.channels) if link.channels else f"{link.rx_queues}/{link.tx_queues}"
    rings = "/".join(f"{ring[0]}{_of(ring)}" if ring else "?" for ring in (link.rx_ring, link.tx_ring))
    waiting = sum(queue.backlog for queue in link.queues)
    where = ", ".join(kinds) + (f" ({waiting} B now)" if waiting else "") + (", XDP" if link.xdp else "")
    dropped = {"queue": sum(queue.dropped for queue in link.queues), **{name: link.statistics.get(name, 0) for name in DROPS}}
    lost = ", ".join(f"{name} {count}" for name, count in dropped.items() if count)
    return link.name, ", ".join(link.alternative_names), link.master, queues, "" if rings == "?/?" else rings, where, lost


def _of(pair: tuple[int, int]) -> str:
    return f" of {pair[1]}" if pair[0] != pair[1] else ""


def _lost(link: LinkDetails) -> int:
    return sum(queue.dropped for queue in link.queues) + sum(link.statistics.get(name, 0) for name in DROPS)

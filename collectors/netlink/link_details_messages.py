"""Messages between the link details client and its helper. Both sides decode them strictly."""

from __future__ import annotations

import msgspec


class LinkQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Routes to these addresses (`fe80::1%eth0` with its zone), and these links or, with `every_link`, all, up to the helper's limit."""

    addresses: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    every_link: bool = False


class RouteInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Route that the kernel chose for an address, and its next hop.

    `error` is an errno where there is no route. `table`, `protocol` and `kind` are the route's, as ip-route(8) names them. `neighbour` is
    the NUD state of the next hop (`REACHABLE`, `FAILED`, …), empty where the kernel has no entry; `hardware` its link-layer address;
    `confirmed` the seconds since the entry was last confirmed.
    """

    error: int = 0
    interface: str = ""
    gateway: str = ""
    source: str = ""
    kind: str = ""
    table: str = ""
    protocol: str = ""
    neighbour: str = ""
    hardware: str = ""
    confirmed: float | None = None


class Queue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A queueing discipline at a link's root or below: packets dropped and requeued, bytes in the backlog (tc-stats(8))."""

    kind: str
    dropped: int = 0
    requeued: int = 0
    backlog: int = 0


class LinkDetails(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Link attributes of rtnetlink and ethtool's netlink family. A ring size or number of channels is (current, maximum), or None."""

    name: str
    kind: str = ""
    state: str = ""
    master: str = ""
    alternative_names: tuple[str, ...] = ()
    xdp: bool = False
    queues: tuple[Queue, ...] = ()
    tx_queues: int = 0
    rx_queues: int = 0
    rx_ring: tuple[int, int] | None = None
    tx_ring: tuple[int, int] | None = None
    channels: tuple[int, int] | None = None
    statistics: dict[str, int] = {}


class LinkAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was found of the question. `more` counts links beyond the limit."""

    routes: dict[str, RouteInfo] = {}
    links: dict[str, LinkDetails] = {}
    more: int = 0
    cpu_seconds: float = 0.0

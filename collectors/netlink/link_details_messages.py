"""What the link child is asked and what it answers. Both ends use these, and neither believes what does not fit them."""

from __future__ import annotations

import msgspec


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ways to these addresses (`fe80::1%eth0` with its zone), and these links or, with `every_link`, all that there are, up to a bound."""

    addresses: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    every_link: bool = False


class Way(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How this host would send to an address: the route that the kernel chose, and the next hop.

    `error` is an errno where there is no route. `table`, `protocol` and `kind` are the route's, as ip-route(8) names them. `neighbour` is
    the state of the next hop (`REACHABLE`, `FAILED` and so on), empty where the kernel knows none; `hardware` its address; `confirmed` how
    many seconds ago it last proved to be there.
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
    """A queueing discipline at a link's root or below: packets dropped and requeued, bytes that wait now (tc-stats(8))."""

    kind: str
    dropped: int = 0
    requeued: int = 0
    waiting: int = 0


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A link as rtnetlink and ethtool's netlink family tell it. A ring or number of channels is (now, at most), or None."""

    name: str
    kind: str = ""
    state: str = ""
    master: str = ""
    other_names: tuple[str, ...] = ()
    xdp: bool = False
    queues: tuple[Queue, ...] = ()
    transmit_queues: int = 0
    receive_queues: int = 0
    receive_ring: tuple[int, int] | None = None
    transmit_ring: tuple[int, int] | None = None
    channels: tuple[int, int] | None = None
    counted: dict[str, int] = {}


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything asked for, as far as it is there. `more` counts links beyond the bound."""

    ways: dict[str, Way] = {}
    links: dict[str, Link] = {}
    more: int = 0
    cpu_seconds: float = 0.0

"""Link details helper: routes, neighbours and links by pyroute2; JSON on stdin and stdout.

Run as `python -Im collectors.netlink.link_details_helper`. A process of its own, since pyroute2 takes 22 MB, which only the end of a
process gives back. Needs no capability.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import time
from typing import Any

import msgspec
from pyroute2 import IPRoute
from pyroute2.ethtool import Ethtool
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import rt_proto, rt_type
from pyroute2.netlink.rtnl.ndmsg import NUD_VALUES

from collectors.netlink.link_details_messages import LinkAnswer, LinkDetails, LinkQuestion, Queue, RouteInfo
from collectors.netlink.message import connect_to_kernel

MAX_LINKS = 256
MAX_QUEUES = 64  # per link: mq has one per hardware queue
MAX_QUESTION = 1 << 20
CLOCK = os.sysconf("SC_CLK_TCK")  # the unit of nda_cacheinfo (linux/neighbour.h)
NO_NEIGHBOUR = "NUD_NONE"
_LOOKUP_TABLE, _FIB_MATCH = 0x1000, 0x2000  # RTM_F_*, linux/rtnetlink.h: return the table and the matching route itself
_TABLES = {253: "default", 254: "main", 255: "local"}
_STATISTICS = (
    "rx_errors",
    "tx_errors",
    "rx_dropped",
    "tx_dropped",
    "rx_missed_errors",
    "rx_fifo_errors",
    "tx_carrier_errors",
    "collisions",
)


def route_info(netlink: Any, address: str, names: dict[int, str]) -> RouteInfo:  # noqa: ANN401 — pyroute2's classes are made at run time
    """Return the route to one address and its next hop."""
    host, _, zone = address.partition("%")
    where = {"oif": next((index for index, name in names.items() if name == zone), 0)} if zone else {}
    if zone and not where["oif"]:
        return RouteInfo(error=errno.ENODEV)
    try:
        chosen = next(iter(netlink.route("get", dst=host, flags=_LOOKUP_TABLE, **where)))
        matched = next(iter(_or_empty(netlink.route, "get", dst=host, flags=_LOOKUP_TABLE | _FIB_MATCH, **where)), chosen)
    except NetlinkError as error:
        return RouteInfo(error=error.code)
    index = chosen.get("RTA_OIF") or 0
    gateway = chosen.get("RTA_GATEWAY") or (chosen.get("RTA_VIA") or {}).get("addr", "")
    table = chosen.get("RTA_TABLE") or chosen["table"]
    state, hardware, confirmed = _neighbour(netlink, index, gateway or host)
    return RouteInfo(
        interface=names.get(index, str(index)),
        gateway=gateway,
        source=chosen.get("RTA_PREFSRC") or "",
        kind=rt_type.get(chosen["type"], str(chosen["type"])),
        table=_TABLES.get(table, str(table)),
        protocol=rt_proto.get(matched["proto"], str(matched["proto"])),
        neighbour=state,
        hardware=hardware,
        confirmed=confirmed,
    )


def link_details(netlink: Any, ethtool: Any, message: Any, names: dict[int, str]) -> LinkDetails:  # noqa: ANN401
    """Combine rtnetlink's and ethtool's attributes of one link; what its driver does not support is left out."""
    name = message.get("IFLA_IFNAME")
    rings, channels = _or_empty(ethtool.get_rings, name), _or_empty(ethtool.get_channels, name)
    statistics = message.get("IFLA_STATS64") or {}
    maximum = _number(channels, "max_combined") or max(_number(channels, "max_rx"), _number(channels, "max_tx"))
    current = _number(channels, "combined_count") or max(_number(channels, "rx_count"), _number(channels, "tx_count"))
    return LinkDetails(
        name=name,
        kind=(message.get("IFLA_LINKINFO") or message).get("IFLA_INFO_KIND") or "",
        state=(message.get("IFLA_OPERSTATE") or "").lower(),
        master=names.get(message.get("IFLA_MASTER") or 0, ""),
        alternative_names=tuple(one[1] for one in (message.get("IFLA_PROP_LIST") or {}).get("attrs", ()) if one[0] == "IFLA_ALT_IFNAME"),
        xdp=bool((message.get("IFLA_XDP") or message).get("IFLA_XDP_ATTACHED")),
        queues=tuple(_queue(one) for one in list(netlink.get_qdiscs(index=message["index"]))[:MAX_QUEUES]),
        tx_queues=message.get("IFLA_NUM_TX_QUEUES") or 0,
        rx_queues=message.get("IFLA_NUM_RX_QUEUES") or 0,
        rx_ring=(_number(rings, "rx"), _number(rings, "rx_max")) if _number(rings, "rx_max") else None,
        tx_ring=(_number(rings, "tx"), _number(rings, "tx_max")) if _number(rings, "tx_max") else None,
        channels=(current, maximum) if maximum else None,
        statistics={kind: statistics[kind] for kind in _STATISTICS if kind in statistics},
    )


def answer(question: LinkQuestion) -> LinkAnswer:
    """Answer the question; a link that is removed meanwhile is left out."""
    routes: dict[str, RouteInfo] = {}
    links: dict[str, LinkDetails] = {}
    more = 0
    with IPRoute() as netlink, contextlib.closing(Ethtool()) as ethtool:
        for channel in (netlink, ethtool._with_nl):  # noqa: SLF001 — the only way to its socket
            refuse_others(channel)
        messages = list(netlink.get_links())
        names = {message["index"]: message.get("IFLA_IFNAME") for message in messages}
        for address in question.addresses:
            try:
                routes[address] = route_info(netlink, address, names)
            except OSError as error:  # no such address
                routes[address] = RouteInfo(error=error.errno or errno.EINVAL)
        wanted = [one for one in messages if question.every_link or names[one["index"]] in question.links]
        more = max(0, len(wanted) - MAX_LINKS)
        for message in wanted[:MAX_LINKS]:
            with contextlib.suppress(NetlinkError):
                links[names[message["index"]]] = link_details(netlink, ethtool, message, names)
    return LinkAnswer(routes, links, more, round(time.process_time(), 3))


def refuse_others(channel: Any) -> None:  # noqa: ANN401
    """Make the kernel refuse what other processes send to a socket: pyroute2 does not look at an answer's sender."""
    with socket.socket(fileno=os.dup(channel.fileno())) as same:
        connect_to_kernel(same)


def _neighbour(netlink: Any, index: int, address: str) -> tuple[str, str, float | None]:  # noqa: ANN401
    try:
        found = list(netlink.neigh("get", dst=address, ifindex=index))  # one entry, since the table may hold thousands
    except NetlinkError as error:
        if error.code == errno.ENOENT:
            return "", "", None
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        found = netlink.get_neighbours(family=family, ifindex=index)  # before Linux 5.0 there is only the dump
    for one in found:
        if one["ifindex"] == index and one.get("NDA_DST") == address:
            state = NUD_VALUES.get(one["state"], NO_NEIGHBOUR).removeprefix("NUD_")
            times = one.get("NDA_CACHEINFO")
            confirmed = times["ndm_confirmed"] / CLOCK if times and one.get("NDA_LLADDR") else None
            return state, one.get("NDA_LLADDR") or "", confirmed
    return "", "", None


def _queue(message: Any) -> Queue:  # noqa: ANN401
    counted = (message.get("TCA_STATS2") or message).get("TCA_STATS_QUEUE") or {}
    return Queue(message.get("TCA_KIND") or "?", counted.get("drops", 0), counted.get("requeues", 0), counted.get("backlog", 0))


def _or_empty(function: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    """Call what an older kernel or a simple driver may not support; return an empty tuple then."""
    try:
        return function(*args, **kwargs)
    except Exception:  # noqa: BLE001 — EOPNOTSUPP comes as a NetlinkError, an OSError or a class of pyroute2.ethtool's own, by version
        return ()


def _number(numbers: Any, name: str) -> int:  # noqa: ANN401
    return int(getattr(numbers, name, None) or 0)


def main() -> int:
    """Answer one question."""
    question = msgspec.json.decode(sys.stdin.buffer.read(MAX_QUESTION), type=LinkQuestion)
    sys.stdout.buffer.write(msgspec.json.encode(answer(question)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Target syntax: "host:port", "[v6]:port" and "name:port"."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import NamedTuple

from collectors.model import BadInput

_SHAPE = re.compile(r"(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<plain>[^:\[\]]+)):(?P<port>[0-9]{1,5})", re.ASCII)
_DNS_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)  # RFC 1123 2.1, and the underscore that is in use
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)
_MAX_NAME = 253  # RFC 1035 2.3.4, without the root's dot
_MAX_TARGET = 300
_EXAMPLES = '"10.0.0.5:22", "[fd00::5]:22" or "db1.internal:5432"'


class SocketAddress(NamedTuple):
    """Destination of a connect: the family (`AF_INET`, `AF_INET6`) and the socket module's address for it."""

    family: int
    sockaddr: tuple[str, int] | tuple[str, int, int, int]


class Target(NamedTuple):
    """One target: its text as written (the value of its label), its parts, and its address, or None for a name that must be looked up."""

    text: str
    host: str
    port: int
    address: SocketAddress | None


def parse(text: str) -> Target:
    """Parse a target; raises BadInput, which quotes it and shows what would be right."""
    shape = _SHAPE.fullmatch(text) if len(text) <= _MAX_TARGET else None
    if shape is None:
        raise BadInput(f"{text!r:.80} is not a target; write it like {_EXAMPLES}")
    port = int(shape["port"])
    if not 1 <= port <= 65535:  # noqa: PLR2004 — RFC 9293 3.1: 16 bits, and 0 is reserved
        raise BadInput(f"{text!r:.80}: port {port} is not between 1 and 65535")
    if shape["bracketed"]:
        return Target(text, shape["bracketed"], port, _ipv6(text, shape["bracketed"], port))
    host = shape["plain"]
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return Target(text, _name(text, host), port, None)
    return Target(text, host, port, SocketAddress(socket.AF_INET, (host, port)))


def _ipv6(text: str, host: str, port: int) -> SocketAddress | None:
    """Return the address; None for a scoped one (`fe80::1%eth0`): its interface may get another index, so it is looked up like a name."""
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        raise BadInput(f"{text!r:.80}: {host!r:.60} is not an IPv6 address; only those stand in brackets, as in {_EXAMPLES}") from None
    return None if address.scope_id else SocketAddress(socket.AF_INET6, (host, port, 0, 0))


def _name(text: str, host: str) -> str:
    labels = host.removesuffix(".").split(".")
    if _NUMERIC.fullmatch(labels[-1]):  # getaddrinfo would make 10.1 into 10.0.0.1 (inet_aton(3))
        raise BadInput(f"{text!r:.80}: {host!r:.60} is not an IPv4 address; write all four numbers, without leading zeros")
    if len(host.removesuffix(".")) > _MAX_NAME or not all(_DNS_LABEL.fullmatch(label) for label in labels):
        raise BadInput(f"{text!r:.80}: {host!r:.60} is not a host name; letters, digits, '-', '_' and dots (xn--… for other scripts)")
    return host

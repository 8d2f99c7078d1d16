"""Who gets findings in full: the status page and the JSON of `vitald status` have log lines, process names and addresses of the host."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL, AUTHENTICATED, ALL = "local", "authenticated", "all"
SETTINGS = (LOCAL, AUTHENTICATED, ALL)
_LOOPBACK_NAMES = ("localhost", "ip6-localhost", "ip6-loopback")
_PROXY_HEADERS = (
    b"forwarded",  # RFC 7239
    b"via",  # RFC 9110, 7.6.3
    b"x-real-ip",
    b"x-client-ip",
    b"x-cluster-client-ip",
    b"x-original-forwarded-for",
    b"x-envoy-external-address",
    b"true-client-ip",
    b"cf-connecting-ip",
    b"fastly-client-ip",
)


class Client(NamedTuple):
    """What is known of a client. `address` is empty on the local socket, whose file permissions have admitted it.

    `is_authenticated`: a password or a client certificate was verified.
    """

    address: str = ""
    is_authenticated: bool = False


def may_see_findings(setting: str, client: Client, headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a client gets findings in full, under `[web] status_page`."""
    if setting == ALL or not client.address or client.is_authenticated:
        return True
    return setting == LOCAL and is_loopback(client.address) and not _is_forwarded(headers) and _is_for_this_host(headers.get(b"host"))


def is_loopback(address: str) -> bool:
    """Return whether an address is one of 127.0.0.0/8 or ::1, also in the form ::ffff:127.0.0.1 of a socket for both protocols."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return parsed.is_loopback


def _is_forwarded(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a proxy on this host has sent the request for someone else."""
    return any(name in _PROXY_HEADERS or name.startswith(b"x-forwarded") for name in headers)


def _is_for_this_host(header: bytes | None) -> bool:
    """Return whether the header Host has a name of this host, or there is none.

    A browser on this host sends the name of the site whose script asks, also if that name was made to resolve to 127.0.0.1
    (DNS rebinding), and then the script could read the response. Browsers always send it.
    """
    if header is None:
        return True
    host = _without_port(header.decode("latin-1").strip().lower()).removesuffix(".")
    return host in _LOOPBACK_NAMES or host.endswith(".localhost") or is_loopback(host) or host == socket.gethostname().lower()


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]

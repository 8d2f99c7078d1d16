"""Listening sockets. Addresses: `127.0.0.1:19100`, `[::1]:19100`, `localhost:19100`, and `:19100` for all interfaces."""

from __future__ import annotations

import errno
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.model import BadInput, InUse

if TYPE_CHECKING:
    from collections.abc import Sequence

_ADDRESS = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]:]*)):([0-9]{1,5})", re.ASCII)
_PORTS = range(1 << 16)
_UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_STATUS = Path("/proc/self/status")
_CAP_NET_BIND_SERVICE = 10  # linux/capability.h
_SEND_BUFFER = 32 << 10  # bytes for SO_SNDBUF; the kernel doubles it for its own structures (socket(7)), and does not tune it from then on
_RECEIVE_BUFFER = 16 << 10  # bytes for SO_RCVBUF; a request's head is at most as large
_MAX_SEGMENT = (
    8960  # bytes, as on EC2: the send buffer holds one of loopback's 64 KiB only, whose acknowledgement would be delayed by 40 ms
)
_BACKLOG = 1024  # connections that the kernel holds for us; it cuts this down to net.core.somaxconn


def listen(addresses: Sequence[str]) -> list[socket.socket]:
    """Bind all addresses; BadInput, with nothing left bound, if one cannot be."""
    sockets: list[socket.socket] = []
    try:
        for address in dict.fromkeys(addresses):
            sockets.append(_bind(address))  # noqa: PERF401 — what was bound must be closed when the next one fails
    except BadInput:
        for listener in sockets:
            listener.close()
        raise
    if not sockets:
        raise BadInput("listen address: none given; expected at least one, as in 127.0.0.1:19100")
    return sockets


def check_address(address: str) -> None:
    """Check that an address can be bound; that its port is free is not checked. Raises `BadInput`."""
    _, host, port = _parse(address)
    if 0 < port < _first_unprivileged_port() and not _may_bind_any_port():
        raise _bind_error(address, port, OSError(errno.EACCES, "Permission denied"))
    _bind(f"[{host}]:0" if ":" in host else f"{host}:0", shown=address).close()


def _first_unprivileged_port() -> int:
    try:
        return int(_UNPRIVILEGED.read_text())
    except (OSError, ValueError):
        return 1024  # the kernel's default (ip(7), ip_unprivileged_port_start)


def _may_bind_any_port() -> bool:
    match = re.search(r"^CapEff:\s*([0-9a-f]+)", _STATUS.read_text("ascii", "replace"), re.MULTILINE)
    return match is not None and bool(int(match[1], 16) >> _CAP_NET_BIND_SERVICE & 1)


def bound_address(listener: socket.socket) -> str:
    """Return the address of a bound socket: `127.0.0.1:19100`, `[::1]:19100`."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parse(address: str, shown: str = "") -> tuple[str, str, int]:
    """Return the address as it is shown in errors, its host and its port. Raises `BadInput`."""
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match[3]) not in _PORTS:
        reason = "not HOST:PORT; expected an address as in 127.0.0.1:19100, [::1]:19100 or :19100"
        raise BadInput(f"listen address {address!r:.80}: {reason}")
    return shown or address, match[1] or match[2], int(match[3])


def _bind(wanted: str, shown: str = "") -> socket.socket:
    address, host, port = _parse(wanted, shown)
    family, where = _resolve(address, host, port)
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        if family == socket.AF_INET6 and not host:  # a kernel without IPv6
            return _bind(f"0.0.0.0:{port}", shown)
        raise _bind_error(address, port, error) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit it: an answer's last segment waits for no ACK
        limit_kernel_memory(listener)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _MAX_SEGMENT)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # as in Go: [::] means IPv4 too
        listener.bind(where)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRNOTAVAIL and not host:
            return _bind(f"0.0.0.0:{port}", shown)
        raise _bind_error(address, port, error) from None
    listener.setblocking(False)  # noqa: FBT003
    return listener


def limit_kernel_memory(sock: socket.socket) -> None:
    """Limit what the kernel holds of one connection, of responses that the client has not acknowledged and of requests not read.

    Without limits of its own a connection may have up to tcp_wmem[2] and tcp_rmem[2] (4 MB and 6 MB; tcp(7)), which count as the
    unit's memory. TCP connections inherit them from the listening socket, before listen(2) because of the window scale.
    TCP_USER_TIMEOUT is not set: it ends readers whose window closes now and then, also while they read.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)


def _resolve(address: str, host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]:
    """Return the first address of a name, an IPv4 one if there is one, as in Go."""
    if not host:
        return socket.AF_INET6, ("::", port)
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no host name"
        raise BadInput("listen address " + f"{address!r:.80}: {host!r:.80}: {reason}; expected an address of this host") from None
    family, _, _, _, where = min(addresses, key=lambda entry: entry[0] != socket.AF_INET)
    return family, where  # type: ignore[return-value]  # the other shapes are of other families


def _bind_error(address: str, port: int, error: OSError) -> BadInput:
    reasons = {
        errno.EADDRINUSE: f"in use by another program; expected a free port (`ss -ltnp 'sport = :{port}'` shows the program)",
        errno.EACCES: "not permitted; expected a port from 1024 up, or CAP_NET_BIND_SERVICE",
        errno.EADDRNOTAVAIL: "not an address of this host; expected one of `ip address`",
    }
    kind = InUse if error.errno == errno.EADDRINUSE else BadInput
    return kind(f"listen address {address!r:.80}: {reasons.get(error.errno or 0, error.strerror)}")

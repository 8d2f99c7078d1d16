"""One look-up of a name: getaddrinfo(3), its duration, and the meaning of its errors."""

from __future__ import annotations

import socket
import time
from typing import NamedTuple

from collectors.probe.connect.result import ProbeResult, Reason, reason_of
from collectors.probe.targets.target import SocketAddress

MIN_TIMEOUT = 1.0  # seconds: resolv.conf(5), `options timeout:`; what fails sooner was an answer

_NOT_FOUND = {socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY}


class LookupResult(NamedTuple):
    """Result of a look-up: addresses with port 0, in the order of RFC 6724, or else the result of every probe of this name."""

    addresses: tuple[SocketAddress, ...]
    failure: ProbeResult | None
    seconds: float


def look_up(host: str) -> LookupResult:
    """Look a name up; blocks as long as the system's resolver does, and never raises."""
    begun = time.monotonic()
    infos, failure = [], None
    try:
        infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        failure = _failure(error, time.monotonic() - begun)
    found = [(family, sockaddr) for family, _, _, _, sockaddr in infos if family in {socket.AF_INET, socket.AF_INET6}]
    addresses = {SocketAddress(family, sockaddr): None for family, sockaddr in found}  # type: ignore[arg-type]
    if not addresses and not failure:
        failure = ProbeResult(Reason.DNS_NOT_FOUND)
    return LookupResult(tuple(addresses), failure, time.monotonic() - begun)


def _failure(error: Exception, seconds: float) -> ProbeResult:
    """Classify a failed look-up. glibc returns EAI_AGAIN for a timeout and for SERVFAIL or REFUSED: the duration tells them apart."""
    if isinstance(error, socket.gaierror):
        if error.errno in _NOT_FOUND:
            return ProbeResult(Reason.DNS_NOT_FOUND)
        if error.errno == socket.EAI_AGAIN and seconds >= MIN_TIMEOUT:
            return ProbeResult(Reason.DNS_TIMEOUT)
        if error.errno == socket.EAI_MEMORY:
            return ProbeResult(Reason.LOCAL_RESOURCES, local_error=True)
    elif isinstance(error, OSError) and reason_of(error.errno or 0) is Reason.LOCAL_RESOURCES:  # EAI_SYSTEM: Python turns it into its errno
        return ProbeResult(Reason.LOCAL_RESOURCES, local_error=True, error=error.errno or 0)
    return ProbeResult(Reason.DNS_ERROR)

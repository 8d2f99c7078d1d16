"""One look-up of a name: getaddrinfo(3), its time, and what its errors mean."""

from __future__ import annotations

import socket
import time
from typing import NamedTuple

from collectors.probe.connect.outcome import Outcome, Reason, of
from collectors.probe.targets.target import Address

MOST_ADDRESSES = 64  # of one name are remembered
SHORTEST_TIMEOUT = 1.0  # seconds: resolv.conf(5), `options timeout:`; what fails sooner was an answer

_NOT_FOUND = {socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY}


class Answer(NamedTuple):
    """What a look-up gave: addresses with port 0, in the order of RFC 6724, or else the outcome of every probe of this name."""

    addresses: tuple[Address, ...]
    failure: Outcome | None
    seconds: float

    def bounded(self) -> Answer:
        """Leave out what nobody needs to remember."""
        return self._replace(addresses=self.addresses[:MOST_ADDRESSES])


def look_up(host: str) -> Answer:
    """Look a name up; blocks as long as the system's resolver does, and never raises."""
    begun = time.monotonic()
    found, failure = [], None
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        failure = _failure(error, time.monotonic() - begun)
    addresses = {Address(family, sockaddr): None for family, _, _, _, sockaddr in found if family in {socket.AF_INET, socket.AF_INET6}}  # type: ignore[arg-type]
    if not addresses and not failure:
        failure = Outcome(Reason.DNS_NOT_FOUND)
    return Answer(tuple(addresses), failure, time.monotonic() - begun)


def _failure(error: Exception, seconds: float) -> Outcome:
    """Name a failed look-up. glibc says EAI_AGAIN both for silence and for a server's SERVFAIL or REFUSED: the time tells them apart."""
    if isinstance(error, socket.gaierror):
        if error.errno in _NOT_FOUND:
            return Outcome(Reason.DNS_NOT_FOUND)
        if error.errno == socket.EAI_AGAIN and seconds >= SHORTEST_TIMEOUT:
            return Outcome(Reason.DNS_TIMEOUT)
        if error.errno == socket.EAI_MEMORY:
            return Outcome(Reason.LOCAL_RESOURCES, own_fault=True)
    elif isinstance(error, OSError) and of(error.errno or 0) is Reason.LOCAL_RESOURCES:  # EAI_SYSTEM, which Python turns into its errno
        return Outcome(Reason.LOCAL_RESOURCES, own_fault=True, error=error.errno or 0)
    return Outcome(Reason.DNS_ERROR)

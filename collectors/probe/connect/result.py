"""Why a probe failed: the closed set of the metric's `reason`, and what each errno means."""

from __future__ import annotations

import enum
import errno
from typing import NamedTuple


class Reason(enum.IntEnum):
    """A probe's end. The values fit into four bits; the names in small letters are the label values."""

    ANSWERED = 0
    TIMEOUT = 1
    REFUSED = 2
    RESET = 3
    HOST_UNREACHABLE = 4
    NET_UNREACHABLE = 5
    DNS_NOT_FOUND = 6
    DNS_TIMEOUT = 7
    DNS_ERROR = 8
    PERMISSION = 9
    LOCAL_RESOURCES = 10
    OTHER = 11


LABELS = tuple(reason.name.lower() for reason in Reason)
FAILURES = LABELS[1:]


class Outcome(NamedTuple):
    """What one probe saw.

    `own_fault`: this host's doing, so it says nothing about the target. `error` is the errno behind a failure, or 0.
    `rtt` is the kernel's SYN→SYN-ACK time in µs, 0 where it took none. `retransmits` counts the SYNs sent again.
    `seconds` is the time from the first SYN to the end. `router` is who said so by ICMP, where that was not the target.
    """

    reason: Reason
    own_fault: bool = False
    error: int = 0
    rtt: int = 0
    retransmits: int = 0
    seconds: float = 0.0
    router: str = ""


_BY_ERRNO = {
    errno.ETIMEDOUT: Reason.TIMEOUT,
    errno.ECONNREFUSED: Reason.REFUSED,
    errno.ECONNRESET: Reason.RESET,
    errno.EPIPE: Reason.RESET,  # tcp_reset() in net/ipv4/tcp_input.c: a RST after the peer's FIN
    errno.ECONNABORTED: Reason.RESET,
    errno.EHOSTUNREACH: Reason.HOST_UNREACHABLE,
    errno.EHOSTDOWN: Reason.HOST_UNREACHABLE,
    errno.ENETUNREACH: Reason.NET_UNREACHABLE,
    errno.ENETDOWN: Reason.NET_UNREACHABLE,
    errno.EAFNOSUPPORT: Reason.NET_UNREACHABLE,  # a host without IPv6
    errno.EPERM: Reason.PERMISSION,
    errno.EACCES: Reason.PERMISSION,
    errno.EADDRNOTAVAIL: Reason.LOCAL_RESOURCES,  # connect(2): all local ports are in use
    errno.EAGAIN: Reason.LOCAL_RESOURCES,
    errno.EMFILE: Reason.LOCAL_RESOURCES,
    errno.ENFILE: Reason.LOCAL_RESOURCES,
    errno.ENOBUFS: Reason.LOCAL_RESOURCES,
    errno.ENOMEM: Reason.LOCAL_RESOURCES,
}


def of(error: int) -> Reason:
    """Name the reason behind an errno of socket(2), connect(2) or SO_ERROR."""
    return _BY_ERRNO.get(error, Reason.OTHER)


def refused_by_ourselves(error: int) -> Outcome:
    """Say what socket(2) or connect(2) itself failed with: no packet had left yet, so it is this host's doing.

    The exception is ECONNREFUSED and its like, which connect(2) may return at once for a target on this very host.
    """
    reason = of(error)
    return Outcome(reason, reason not in {Reason.REFUSED, Reason.RESET, Reason.TIMEOUT}, error)

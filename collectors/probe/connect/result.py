"""Result of one probe: the closed set of the metric's `reason`, and the reason for each errno."""

from __future__ import annotations

import enum
import errno
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collectors.probe.targets.target import SocketAddress

    Destination: TypeAlias = "SocketAddress | ProbeResult | None"  # of a probe; None: its name is being looked up; a result: that failed


class Reason(enum.IntEnum):
    """How a probe ended. The values fit into four bits; the lower-case names are the label values."""

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
    PROHIBITED = 12  # by a firewall that says so: ICMP "administratively prohibited", or any ICMP unreachable from the target itself


LABELS = tuple(reason.name.lower() for reason in Reason)
FAILURES = LABELS[1:]
# What a failure is evidence of. Only silence may mean that a host is down: a refusal or reset was sent by a living kernel, a prohibition
# by a living firewall. A failure of a look-up, or of this host itself, is no evidence about the target.
SILENCE = frozenset({Reason.TIMEOUT, Reason.HOST_UNREACHABLE})
ANSWERS = frozenset({Reason.REFUSED, Reason.RESET, Reason.PROHIBITED})
LOOKUP = frozenset({Reason.DNS_NOT_FOUND, Reason.DNS_TIMEOUT, Reason.DNS_ERROR})
PROHIBITED_CODES = frozenset({(3, 9), (3, 10), (3, 13), (1, 1), (1, 5), (1, 6)})  # (type, code): RFC 1812 5.2.7.1, RFC 4443 3.1


class ProbeResult(NamedTuple):
    """Result of one probe.

    `local_error`: caused by this host, so it is no evidence against the target. `error` is the errno of a failure, or 0.
    `rtt` is the kernel's SYN→SYN-ACK time in µs, 0 without a sample. `retransmits` counts retransmitted SYNs.
    `seconds` is the time from the first SYN to the end. `router` is the sender of the ICMP error, empty where that is the target.
    """

    reason: Reason
    local_error: bool = False
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


def reason_of(error: int) -> Reason:
    """Return the reason for an errno of socket(2), connect(2) or SO_ERROR."""
    return _BY_ERRNO.get(error, Reason.OTHER)

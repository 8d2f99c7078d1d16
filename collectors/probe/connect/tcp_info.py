"""What the kernel knows of one connect: `struct tcp_info` of include/uapi/linux/tcp.h, the same on every architecture."""

from __future__ import annotations

import struct
from socket import IPPROTO_TCP, TCP_INFO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from socket import SocketType

ESTABLISHED = 1  # include/net/tcp_states.h
CLOSE_WAIT = 8

# tcpi_state (u8) 0 · tcpi_retrans 36 · tcpi_rtt 68 (µs) · tcpi_total_retrans 100 · tcpi_segs_in 140 (Linux 4.2); all but the first are u32
_LAYOUT = struct.Struct("=B35xI28xI28xI36xI")
SIZE = _LAYOUT.size
unpack = _LAYOUT.unpack


def look(sock: SocketType) -> tuple[int, int, int, int, int]:
    """Ask for state, retransmitted segments still in flight, RTT (µs, 0: no sample), retransmissions in all, segments received.

    During a connect the first counts 1 when the last retransmitted SYN left this host and 0 when our own side dropped it: it is
    raised only after a successful send (tcp_retransmit_skb() in net/ipv4/tcp_output.c), tcpi_total_retrans before it.
    The RTT excludes retransmissions (RFC 6298 section 3): after one, there is a sample only where both sides use TCP timestamps.
    """
    state, in_flight, rtt, retransmits, received = unpack(sock.getsockopt(IPPROTO_TCP, TCP_INFO, SIZE))
    return state, in_flight, rtt, retransmits, received

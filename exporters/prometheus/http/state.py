"""States of a connection: their time limits, and the order of eviction."""

from __future__ import annotations

import enum

REQUEST_SECONDS = 10.0  # for handshake and request together
MIN_RATE = 1024  # bytes per second that a client must take of a response on average
MIN_RATE_GRACE = 30.0  # seconds from which on it must


class ConnectionState(enum.IntEnum):
    """State of a connection; the lower, the sooner it is evicted."""

    IDLE = 0
    LINGERING = 1
    HANDSHAKE = 2
    READING = 3
    AUTHENTICATING = 4
    WRITING = 5
    DELIVERING = 6  # the kernel has the whole response, the client has not acknowledged all of it


SECONDS = {  # of the other states: REQUEST_SECONDS; READING goes on with the time of the handshake
    ConnectionState.IDLE: 300.0,  # Prometheus scrapes every 15 to 60 s
    ConnectionState.LINGERING: 1.0,
    ConnectionState.WRITING: 10.0,  # in each such period the client must acknowledge at least a byte
    ConnectionState.DELIVERING: 10.0,  # likewise
}


class ConnectionClosed(Exception):  # noqa: N818 — not an error: clients come and go
    """The connection is over; `in_handshake` if the TLS handshake failed."""

    def __init__(self, *, in_handshake: bool = False) -> None:
        super().__init__()
        self.in_handshake = in_handshake

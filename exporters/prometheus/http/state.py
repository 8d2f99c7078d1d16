"""States of a connection: their time limits, and the order of eviction."""

from __future__ import annotations

import enum

REQUEST_SECONDS = 10.0  # for handshake and request together
RESPONSE_SECONDS = 30.0  # for a slow reader to take all of it
IDLE_SECONDS = 300.0  # Prometheus scrapes every 15 to 60 s
LINGER_SECONDS = 1.0


class ConnectionState(enum.IntEnum):
    """State of a connection; the lower, the sooner it is evicted."""

    IDLE = 0
    LINGERING = 1
    HANDSHAKE = 2
    READING = 3
    AUTHENTICATING = 4
    WRITING = 5


SECONDS = {
    ConnectionState.IDLE: IDLE_SECONDS,
    ConnectionState.LINGERING: LINGER_SECONDS,
    ConnectionState.HANDSHAKE: REQUEST_SECONDS,
    ConnectionState.AUTHENTICATING: REQUEST_SECONDS,
    ConnectionState.WRITING: RESPONSE_SECONDS,
}  # READING goes on with the time of the handshake, so that both together are bounded


class ConnectionClosed(Exception):  # noqa: N818 — not an error: clients come and go
    """The connection is over; `in_handshake` if the TLS handshake failed."""

    def __init__(self, *, in_handshake: bool = False) -> None:
        super().__init__()
        self.in_handshake = in_handshake

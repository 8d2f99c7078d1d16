"""What a connection may be doing, for how long, and in which order connections are thrown out."""

from __future__ import annotations

import enum

REQUEST_SECONDS = 10.0  # for handshake and request together
RESPONSE_SECONDS = 30.0  # for a slow reader to take all of it
IDLE_SECONDS = 300.0  # Prometheus comes every 15 to 60 s
LINGER_SECONDS = 1.0


class State(enum.IntEnum):
    """What a connection is doing; the lower, the sooner it is thrown out."""

    IDLE = 0
    LINGERING = 1
    HANDSHAKE = 2
    READING = 3
    ASKING = 4
    WRITING = 5


SECONDS = {
    State.IDLE: IDLE_SECONDS,
    State.LINGERING: LINGER_SECONDS,
    State.HANDSHAKE: REQUEST_SECONDS,
    State.ASKING: REQUEST_SECONDS,
    State.WRITING: RESPONSE_SECONDS,
}  # READING goes on with the time of the handshake, so that both together are bounded


class Gone(Exception):  # noqa: N818 — not an error: clients come and go
    """The connection is over; `handshake` if it failed before it began."""

    def __init__(self, *, handshake: bool = False) -> None:
        super().__init__()
        self.handshake = handshake

"""What the main process and the packet child say to each other. The child itself (packets/) imports nothing else of ours."""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal, NamedTuple, TypeAlias, TypeVar

import msgspec

Kind = Literal["syn_ack", "reset", "too_big", "expired", "unreachable", "silent", "local"]
MOST_PACKETS = 200  # a second, all targets together: at 9001 bytes 14 Mbit/s
IP_TCP_HEADERS = {4: 40, 6: 60}  # bytes, without options: what MSS leaves out (RFC 9293 3.7.1)


class Place(NamedTuple):
    """Whom SYNs go to, from which of our addresses, and the largest packet that may leave in bytes."""

    source: str
    target: str
    port: int
    mtu: int

    @property
    def version(self) -> int:
        """Give 4 or 6."""
        return 6 if ":" in self.target else 4

    @property
    def mss(self) -> int:
        """Give what our own kernel would offer on that interface."""
        return min(self.mtu, 65535) - IP_TCP_HEADERS[self.version]


class Shot(NamedTuple):
    """One SYN, sent up to `tries` times, `wait` seconds apart; `size` of the IP packet in bytes, 0 for a bare one.

    Shots of one play that share a `flow` share port and sequence number; all but the last of it say `keep`.
    """

    size: int = 0
    tries: int = 1
    wait: float = 0.5
    ttl: int = 64
    flow: int = 0
    keep: bool = False


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of a shot; the fields are explained in packets/__init__.py."""

    id: int
    kind: Kind
    sender: str = ""
    rtt: int = 0
    mss: int = 0
    mtu: int = 0
    hops: int = 0
    code: int = 0
    tries: int = 0
    error: int = 0

    @property
    def from_target(self) -> bool:
        """Whether the target itself answered: a RST says as much of the path as a SYN-ACK."""
        return self.kind in {"syn_ack", "reset"}


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The child's first line."""

    ready: bool = False
    fatal: int = 0
    detail: str = ""


T = TypeVar("T")
Play: TypeAlias = Generator[Shot, Answer, T]
"""A course of shots, each chosen by the answers before it. Pure: it is fed literals in tests, and by the child in life."""

"""Protocol between the packet client and the scapy helper (scapy_helper/, which imports nothing else of vitald)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal, NamedTuple, TypeAlias, TypeVar

import msgspec

Kind = Literal["syn_ack", "reset", "too_big", "expired", "unreachable", "silent", "local"]
MAX_PACKETS_PER_SECOND = 200  # all targets together: at 9001 bytes 14 Mbit/s
IP_TCP_HEADERS = {4: 40, 6: 60}  # bytes, without options: the part of a packet that MSS excludes (RFC 9293 3.7.1)


class Endpoint(NamedTuple):
    """Target address and port, the source address used for it, and the largest packet in bytes that may leave (`mtu`)."""

    source: str
    target: str
    port: int
    mtu: int

    @property
    def version(self) -> int:
        """IP version: 4 or 6."""
        return 6 if ":" in self.target else 4

    @property
    def mss(self) -> int:
        """MSS in bytes that the kernel would offer on that interface."""
        return min(self.mtu, 65535) - IP_TCP_HEADERS[self.version]


class ProbeSpec(NamedTuple):
    """One SYN, sent up to `tries` times, `wait` seconds apart; `size` of the IP packet in bytes, 0 for a bare one.

    Probes of one script that share a `flow` share port and sequence number; all but the last set `keep`.
    """

    size: int = 0
    tries: int = 1
    wait: float = 0.5
    ttl: int = 64
    flow: int = 0
    keep: bool = False


class ProbeAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Result of one probe; scapy_helper/__init__.py documents the fields."""

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
        """True if the target itself answered: a RST proves as much about the path as a SYN-ACK."""
        return self.kind in {"syn_ack", "reset"}


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """First line of the helper."""

    ready: bool = False
    fatal: int = 0
    detail: str = ""


T = TypeVar("T")
# Sequence of probes, each chosen by the answers before it. Pure: tests feed it literals, the client the helper's answers.
ProbeScript: TypeAlias = Generator[ProbeSpec, ProbeAnswer, T]

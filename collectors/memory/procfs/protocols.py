"""Reads /proc/net/protocols (kernel: net/core/sock.c, proto_seq_printf): memory and pressure of each protocol's sockets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import count, text_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# TCP, TCPv6 and MPTCP share one counter, and so do the UDPs: the same pages are printed in each of their lines.
SHARED = {"TCPv6": "TCP", "MPTCP": "TCP", "MPTCPv6": "TCP", "UDPv6": "UDP", "UDP-Lite": "UDP", "UDPLITEv6": "UDP", "SCTPv6": "SCTP"}


@dataclass(frozen=True, slots=True)
class Protocol:
    """Sockets of this network namespace, bytes of the whole host, and whether the kernel has begun to hold senders back."""

    sockets: int
    memory: int
    pressed: bool


def read(proc: Path, page: int) -> Mapping[str, Protocol]:
    """Give the protocols whose memory the kernel counts; `page` is the page size in bytes."""
    return parse(text_or_none(f"{proc}/net/protocols") or "", page)


def parse(text: str, page: int) -> Mapping[str, Protocol]:
    """Give one entry for each counter, not for each line. A memory of -1 means "not counted" and is left out."""
    found: dict[str, Protocol] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 5:  # noqa: PLR2004 — name, size, sockets, memory, press
            continue
        sockets, memory = count(words[2]), count(words[3])
        if sockets is None or memory is None:
            continue
        name, pressed = SHARED.get(words[0], words[0]), words[4] == "yes"
        before = found.get(name)
        found[name] = Protocol(sockets + (before.sockets if before else 0), memory * page, pressed or bool(before and before.pressed))
    return found

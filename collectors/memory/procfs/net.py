"""/proc/net: sockstat, sockstat6 (kernel: net/ipv4/proc.c) and protocols (net/core/sock.c, proto_seq_printf).

`mem` of TCP and UDP counts pages and is global, whatever network namespace reads it; FRAG's `memory` is bytes of this namespace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import LARGEST, parse_number, text_or_none

if TYPE_CHECKING:
    from pathlib import Path

_WANTED = ("TCP:", "UDP:", "FRAG:", "FRAG6:")
# TCP, TCPv6 and MPTCP share one counter, and so do the UDPs: the same state is printed in each of their lines.
_SHARED = {"TCPv6": "TCP", "MPTCP": "TCP", "MPTCPv6": "TCP", "UDPv6": "UDP", "UDP-Lite": "UDP", "UDPLITEv6": "UDP", "SCTPv6": "SCTP"}


@dataclass(frozen=True, slots=True)
class SocketMemory:
    """Bytes in socket buffers; None where the kernel has no such counter."""

    tcp: int | None = None
    udp: int | None = None
    fragments: int | None = None


def read_sockstat(proc: Path, page: int) -> SocketMemory:
    """Read this host's socket memory; `page` is the page size in bytes."""
    return parse_sockstat(text_or_none(f"{proc}/net/sockstat") or "", text_or_none(f"{proc}/net/sockstat6") or "", page)


def parse_sockstat(text: str, text6: str, page: int) -> SocketMemory:
    """Parse both files; the v6 one only adds its fragments, since TCP and UDP memory is counted once for both."""
    rows = dict(_row(line) for line in (text + "\n" + text6).splitlines() if line.startswith(_WANTED))
    fragments = [rows[name]["memory"] for name in ("FRAG", "FRAG6") if "memory" in rows.get(name, {})]
    return SocketMemory(
        tcp=_pages(rows.get("TCP", {}), page), udp=_pages(rows.get("UDP", {}), page), fragments=sum(fragments) if fragments else None
    )


def read_pressed_protocols(proc: Path) -> tuple[str, ...]:
    """Read which protocols are under memory pressure, by counter name."""
    return parse_pressed_protocols(text_or_none(f"{proc}/net/protocols") or "")


def parse_pressed_protocols(text: str) -> tuple[str, ...]:
    """Return the counters under memory pressure, sorted, each once. A protocol with a memory of -1 is not counted and left out."""
    pressed = set()
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 5 and parse_number(words[3]) is not None and words[4] == "yes":  # noqa: PLR2004 — name, size, sockets, memory, press
            pressed.add(_SHARED.get(words[0], words[0]))
    return tuple(sorted(pressed))


def _row(line: str) -> tuple[str, dict[str, int]]:
    name, _, rest = line.partition(":")
    words = rest.split()
    pairs = ((key, parse_number(word)) for key, word in zip(words[::2], words[1::2], strict=False))
    return name, {key: value for key, value in pairs if value is not None}


def _pages(row: dict[str, int], page: int) -> int | None:
    mem = row.get("mem")
    return None if mem is None or mem * page >= LARGEST else mem * page

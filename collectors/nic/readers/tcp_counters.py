"""TCP's counts over all sockets: `/proc/net/snmp` (RFC 4022) and `/proc/net/netstat`, by name, since kernels add and move columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.files import read_text

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST = 65_536


@dataclass(frozen=True, slots=True)
class Tcp:
    """Since boot: segments sent, and sent again; connections begun, and SYNs sent again (0 for both where a kernel does not count them)."""

    sent: int
    retransmitted: int
    opened: int = 0
    syns_again: int = 0

    @property
    def data_again(self) -> int:
        """Say how many segments of established connections were sent again: the SYNs are counted in both tables."""
        return max(0, self.retransmitted - self.syns_again)


def parse_table(text: str, prefix: str) -> dict[str, int]:
    """Read one table of two lines, the names and the values: `Tcp: A B` and `Tcp: 1 2`; what is no number is left out."""
    lines = [line.split() for line in text.splitlines() if line.startswith(prefix + ":")]
    names, values = lines[:2] if len(lines) > 1 else ([], [])
    return {name: int(value) for name, value in zip(names[1:], values[1:], strict=False) if value.lstrip("-").isdecimal()}


def parse_tcp(snmp: str, netstat: str = "") -> Tcp | None:
    """Join the two files; None where the segments are not counted."""
    table, more = parse_table(snmp, "Tcp"), parse_table(netstat, "TcpExt")
    if "OutSegs" not in table or "RetransSegs" not in table:
        return None
    return Tcp(table["OutSegs"], table["RetransSegs"], table.get("ActiveOpens", 0), more.get("TCPSynRetrans", 0))


def read_tcp(proc: Path) -> Tcp | None:
    """Read them of this network namespace; None where they cannot be read."""
    return parse_tcp(read_text(f"{proc}/net/snmp", _LONGEST), read_text(f"{proc}/net/netstat", _LONGEST))

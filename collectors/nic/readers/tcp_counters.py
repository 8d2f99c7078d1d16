"""TCP counters over all sockets: `/proc/net/snmp` (RFC 4022) and `/proc/net/netstat`, by name, since kernels add and move columns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.files import read_text

if TYPE_CHECKING:
    from pathlib import Path

_MAX_BYTES = 65_536
_NUMBER = re.compile(r"-?\d{1,20}", re.ASCII)  # a 64-bit counter


@dataclass(frozen=True, slots=True)
class TcpCounters:
    """Counters since boot: Tcp OutSegs, RetransSegs and ActiveOpens, TcpExt TCPSynRetrans; 0 where a kernel lacks the last two."""

    out_segs: int
    retrans_segs: int
    active_opens: int = 0
    syn_retrans: int = 0

    @property
    def data_retrans(self) -> int:
        """Retransmitted segments of established connections: SYNs are counted in both tables."""
        return max(0, self.retrans_segs - self.syn_retrans)


def parse_table(text: str, prefix: str) -> dict[str, int]:
    """Parse one table of two lines, names and values: `Tcp: A B` and `Tcp: 1 2`; values that are no numbers are left out."""
    lines = [line.split() for line in text.splitlines() if line.startswith(prefix + ":")]
    names, values = lines[:2] if len(lines) > 1 else ([], [])
    return {name: int(value) for name, value in zip(names[1:], values[1:], strict=False) if _NUMBER.fullmatch(value)}


def parse_tcp(snmp: str, netstat: str = "") -> TcpCounters | None:
    """Parse both files; None where segments are not counted."""
    tcp, tcp_ext = parse_table(snmp, "Tcp"), parse_table(netstat, "TcpExt")
    if "OutSegs" not in tcp or "RetransSegs" not in tcp:
        return None
    return TcpCounters(tcp["OutSegs"], tcp["RetransSegs"], tcp.get("ActiveOpens", 0), tcp_ext.get("TCPSynRetrans", 0))


def read_tcp(proc: Path) -> TcpCounters | None:
    """Read the counters of this network namespace; None where they cannot be read."""
    return parse_tcp(read_text(f"{proc}/net/snmp", _MAX_BYTES), read_text(f"{proc}/net/netstat", _MAX_BYTES))

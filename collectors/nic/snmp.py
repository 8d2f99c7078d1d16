"""TCP's retransmissions over all sockets: `/proc/net/snmp` (RFC 4022), by name, since kernels add and move columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST = 65_536


@dataclass(frozen=True, slots=True)
class Tcp:
    """Segments since boot: all that were sent, and those that were sent again."""

    sent: int
    retransmitted: int


def parse_tcp(text: str) -> Tcp | None:
    """Read the two `Tcp:` lines; None where they are not there or say nothing we know."""
    names, values = [line.split() for line in text.splitlines() if line.startswith("Tcp:")][:2] or ([], [])
    table = dict(zip(names[1:], values[1:], strict=False))
    try:
        return Tcp(int(table["OutSegs"]), int(table["RetransSegs"]))
    except (KeyError, ValueError):
        return None


def read_tcp(proc: Path) -> Tcp | None:
    """Read them of this network namespace; None where they cannot be read."""
    try:
        with (proc / "net/snmp").open("rb") as file:
            return parse_tcp(file.read(_LONGEST).decode("ascii", "replace"))
    except OSError:
        return None

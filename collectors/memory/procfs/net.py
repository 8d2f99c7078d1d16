"""Reads /proc/net/sockstat and sockstat6 (kernel: net/ipv4/proc.c): how much memory sits in socket buffers, of the whole host.

`mem` of TCP and UDP counts pages and is global, in whichever network namespace one reads it; FRAG's `memory` is bytes, of this namespace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import count, text_or_none

if TYPE_CHECKING:
    from pathlib import Path


_WANTED = ("TCP:", "UDP:", "FRAG:", "FRAG6:")


@dataclass(frozen=True, slots=True)
class Sockets:
    """Bytes in socket buffers; None where the kernel does not say."""

    tcp: int | None = None
    udp: int | None = None
    fragments: int | None = None


def read(proc: Path, page: int) -> Sockets:
    """Give this host's socket memory; `page` is the page size in bytes."""
    return parse(text_or_none(f"{proc}/net/sockstat") or "", text_or_none(f"{proc}/net/sockstat6") or "", page)


def parse(text: str, text6: str, page: int) -> Sockets:
    """Put the two files together; the v6 one only adds its fragments, since TCP and UDP memory is counted once for both."""
    rows = dict(_row(line) for line in (text + "\n" + text6).splitlines() if line.startswith(_WANTED))
    fragments = [rows[name]["memory"] for name in ("FRAG", "FRAG6") if "memory" in rows.get(name, {})]
    return Sockets(
        tcp=_pages(rows.get("TCP", {}), page),
        udp=_pages(rows.get("UDP", {}), page),
        fragments=sum(fragments) if fragments else None,
    )


def _row(line: str) -> tuple[str, dict[str, int]]:
    name, _, rest = line.partition(":")
    words = rest.split()
    pairs = ((key, count(word)) for key, word in zip(words[::2], words[1::2], strict=False))
    return name, {key: value for key, value in pairs if value is not None}


def _pages(row: dict[str, int], page: int) -> int | None:
    mem = row.get("mem")
    return None if mem is None else mem * page

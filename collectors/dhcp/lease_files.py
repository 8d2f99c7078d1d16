"""Lease files of DHCP clients: evidence beside the kernel's countdown, never a replacement for it.

dhclient.leases(5); systemd-networkd's and NetworkManager's internal client's `KEY=value` files (systemd's sd-dhcp-lease.c,
dhcp_lease_save). Unreadable files are left out.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.disk import note
from collectors.files import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAX_BYTES = 1 << 20
_MAX_FILES = 64
_PLACES = (  # folder, pattern of the file's name, client
    ("var/lib/dhcp", r"dhclient.*\.leases?", "dhclient"),
    ("var/lib/dhclient", r"dhclient.*\.leases?", "dhclient"),
    ("var/lib/NetworkManager", r"dhclient-.*\.lease", "dhclient"),
    ("var/lib/NetworkManager", r"internal-.*\.lease", "NetworkManager"),
    ("run/systemd/netif/leases", r"\d+", "systemd-networkd"),
)


_IAADDR = re.compile(r"\s*iaaddr ([0-9A-Fa-f:.]{2,45}) \{")
_MAX_LIFE = re.compile(r"\s*max-life (\d{1,10});", re.ASCII)
_FIXED_ADDRESS = re.compile(r"\s*fixed-address ([0-9A-Fa-f.:]{2,45});")
_LEASE_TIME = re.compile(r"\s*option dhcp-lease-time (\d{1,10});", re.ASCII)


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A lease as its client saved it; `seconds` is the duration of the lease, 0 where it is not in the file."""

    address: str
    client: str
    seconds: int
    path: str


def parse_dhclient(text: str) -> dict[str, int]:
    """Parse a dhclient lease file: address → seconds; the last lease of an address is used. A truncated lease is left out."""
    found: dict[str, int] = {}
    for is_v6, lines in _blocks(text):
        found |= _v6_lease(lines) if is_v6 else _lease(lines)
    return found


def _blocks(text: str) -> Iterator[tuple[bool, list[str]]]:
    """Yield each lease that has an end, and whether it is a DHCPv6 one. Not by one expression, whose time would grow as the square."""
    is_v6, lines = False, None
    for line in text.split("\n"):
        if line.startswith(("lease {", "lease6 {")):
            is_v6, lines = line.startswith("lease6"), list[str]()
        elif lines is not None and line.startswith("}"):
            yield is_v6, lines
            lines = None
        elif lines is not None:
            lines.append(line)


def _lease(lines: list[str]) -> dict[str, int]:
    address = next((match[1] for line in lines if (match := _FIXED_ADDRESS.match(line))), "")
    seconds = next((int(match[1]) for line in lines if (match := _LEASE_TIME.match(line))), 0)
    return {address: seconds} if address else {}


def _v6_lease(lines: list[str]) -> dict[str, int]:
    found, address = {}, ""
    for line in lines:
        if match := _IAADDR.match(line):
            address = match[1]
        elif address and (match := _MAX_LIFE.match(line)):
            found[address], address = int(match[1]), ""
        elif "}" in line:
            address = ""
    return found


def parse_keys(text: str) -> dict[str, int]:
    """Parse a `KEY=value` lease: address → seconds."""
    keys = {match[1]: match[2] for match in re.finditer(r"^([A-Z0-9_]+)=(.*)$", text, re.MULTILINE)}
    address, seconds = keys.get("ADDRESS", ""), keys.get("LIFETIME", "")
    return {address: int(seconds) if re.fullmatch(r"[0-9]{1,10}", seconds) else 0} if address else {}


def read_lease_files(root: Path) -> dict[str, LeaseRecord]:
    """Read all lease files: address → lease."""
    found: dict[str, LeaseRecord] = {}
    for folder, pattern, client in _PLACES:
        note(str(root / folder))
        for name in _names(root / folder, pattern):
            note(str(root / folder / name))
            text = read_text(root / folder / name, _MAX_BYTES)
            leases = parse_dhclient(text) if client == "dhclient" else parse_keys(text)
            found |= {address: LeaseRecord(address, client, seconds, f"/{folder}/{name}") for address, seconds in leases.items()}
    return found


def _names(folder: Path, pattern: str) -> Iterator[str]:
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 — only the names are needed
    except OSError:
        return
    yield from [name for name in names if re.fullmatch(pattern, name)][:_MAX_FILES]

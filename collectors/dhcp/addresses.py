"""The lifetimes the kernel keeps for each address (rtnetlink(7), IFA_CACHEINFO; net/ipv4/devinet.c, net/ipv6/addrconf.c).

Whatever client set them (dhclient, systemd-networkd, NetworkManager, dhcpcd): it is the kernel that takes the address away.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.netlink.message import DumpInterrupted, attributes
from collectors.netlink.rtnetlink import dump_addresses

if TYPE_CHECKING:
    from collections.abc import Mapping

FOREVER = 0xFFFFFFFF
_ADDRESS, _LOCAL, _CACHEINFO, _PROTO = 1, 2, 6, 11  # include/uapi/linux/if_addr.h
_PERMANENT, _TEMPORARY = 0x80, 0x01  # IFA_F_PERMANENT; IFA_F_TEMPORARY, of IPv6 privacy addresses
_FROM_ROUTERS = {b"\x01", b"\x02", b"\x03"}  # IFAPROT_KERNEL_LO, _RA, _LL: no client's
_IFADDR = struct.Struct("=BBBBi")  # struct ifaddrmsg
_LIFE = struct.Struct("=IIII")  # struct ifa_cacheinfo: preferred, valid, created, set
_BYTES = {socket.AF_INET: 4, socket.AF_INET6: 16}
_DHCPV6_PREFIX = 128
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Address:
    """One address. `valid` seconds until the kernel removes it, None for one that stays; `preferred` until it is deprecated.

    `stamp` is the kernel's mark of when a client last set it, `age` the seconds since.
    """

    interface: str
    index: int
    address: str
    valid: float | None
    preferred: float | None
    age: float
    stamp: int

    @property
    def family(self) -> int:
        """Tell IPv4 from IPv6: 4 or 6."""
        return 6 if ":" in self.address else 4


def concerns(message: bytes, indexes: frozenset[int]) -> bool:
    """Say, from an address message's fixed header alone, whether it has a lifetime, or is on one of these interfaces."""
    if len(message) < _IFADDR.size:
        return False
    _, _, flags, _, index = _IFADDR.unpack_from(message)
    return not flags & _PERMANENT or index in indexes


def read_addresses(names: Mapping[int, str], monotonic: float) -> list[Address]:
    """List the addresses that a client may have set on these interfaces: IPv4, and IPv6 of prefix 128, which is what DHCPv6 gives.

    `monotonic` is CLOCK_MONOTONIC's time, by which `age` is counted. Raises OSError.
    """
    for _ in range(_TRIES):
        try:
            found = dump_addresses()
        except DumpInterrupted:
            continue
        return [address for message in found if (address := parse_address(message, names, monotonic)) is not None]
    raise DumpInterrupted(0, f"the address table changed under {_TRIES} dumps")


def parse_address(message: bytes, names: Mapping[int, str], monotonic: float) -> Address | None:
    """Read one RTM_NEWADDR; None where it is none that a client leased, or is on another interface."""
    if len(message) < _IFADDR.size:
        return None
    family, prefix, flags, _, index = _IFADDR.unpack_from(message)
    told = attributes(message, _IFADDR.size)
    raw, life = told.get(_LOCAL) or told.get(_ADDRESS) or b"", told.get(_CACHEINFO, b"")
    if index not in names or len(raw) != _BYTES.get(family) or len(life) < _LIFE.size:
        return None
    if family == socket.AF_INET6 and (prefix != _DHCPV6_PREFIX or flags & _TEMPORARY or told.get(_PROTO) in _FROM_ROUTERS):
        return None
    preferred, valid, _, stamp = _LIFE.unpack_from(life)
    stays = bool(flags & _PERMANENT) or valid == FOREVER
    return Address(
        names[index],
        index,
        socket.inet_ntop(family, raw),
        None if stays else float(valid),
        None if preferred == FOREVER else float(preferred),
        _age(stamp, monotonic),
        stamp,
    )


def _age(stamp: int, monotonic: float) -> float:
    """Say how long ago the kernel's time stamp was: hundredths of a second since boot, in 32 bits, which wrap after 497 days."""
    age = (int(monotonic * 100) - stamp) % (1 << 32)
    return 0.0 if age > 1 << 31 else age / 100

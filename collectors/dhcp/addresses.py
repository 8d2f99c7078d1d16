"""Address lifetimes in the kernel (rtnetlink(7), IFA_CACHEINFO; net/ipv4/devinet.c, net/ipv6/addrconf.c).

Independent of the client that set them (dhclient, systemd-networkd, NetworkManager, dhcpcd): the kernel removes the address.
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
_FROM_ROUTERS = {b"\x01", b"\x02", b"\x03"}  # IFAPROT_KERNEL_LO, _RA, _LL: not set by a client
_IFADDR = struct.Struct("=BBBBi")  # struct ifaddrmsg
_CACHE = struct.Struct("=IIII")  # struct ifa_cacheinfo: ifa_prefered, ifa_valid, cstamp, tstamp
_BYTES = {socket.AF_INET: 4, socket.AF_INET6: 16}
_DHCPV6_PREFIX = 128
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Address:
    """One address. `valid` is seconds until the kernel removes it, None for a permanent one; `preferred` until it is deprecated.

    `tstamp` is the kernel's time stamp of the last change by a client, `age` the seconds since.
    """

    interface: str
    index: int
    address: str
    valid: float | None
    preferred: float | None
    age: float
    tstamp: int


def is_relevant(message: bytes, indexes: frozenset[int]) -> bool:
    """Return, from the fixed header of an address message, whether it has a lifetime or is on one of these interfaces."""
    if len(message) < _IFADDR.size:
        return False
    _, _, flags, _, index = _IFADDR.unpack_from(message)
    return not flags & _PERMANENT or index in indexes


def read_addresses(names: Mapping[int, str], monotonic: float) -> list[Address]:
    """Dump the addresses that a client may have set on these interfaces (name by index): IPv4, and IPv6 of prefix 128, as DHCPv6 leases.

    `monotonic` is the time of CLOCK_MONOTONIC, from which `age` is computed. Raises OSError.
    """
    for _ in range(_TRIES):
        try:
            found = dump_addresses()
        except DumpInterrupted:
            continue
        return [address for message in found if (address := parse_address(message, names, monotonic)) is not None]
    raise DumpInterrupted(0, f"the address table changed during {_TRIES} dumps")


def parse_address(message: bytes, names: Mapping[int, str], monotonic: float) -> Address | None:
    """Parse one RTM_NEWADDR; None for an address that no client can have leased, or on another interface."""
    if len(message) < _IFADDR.size:
        return None
    family, prefix, flags, _, index = _IFADDR.unpack_from(message)
    found = attributes(message, _IFADDR.size)
    raw, cacheinfo = found.get(_LOCAL) or found.get(_ADDRESS) or b"", found.get(_CACHEINFO, b"")
    if index not in names or len(raw) != _BYTES.get(family) or len(cacheinfo) < _CACHE.size:
        return None
    if family == socket.AF_INET6 and (prefix != _DHCPV6_PREFIX or flags & _TEMPORARY or found.get(_PROTO) in _FROM_ROUTERS):
        return None
    preferred, valid, _, tstamp = _CACHE.unpack_from(cacheinfo)
    until_removed = None if flags & _PERMANENT or valid == FOREVER else float(valid)
    until_deprecated = None if preferred == FOREVER else float(preferred)
    text = socket.inet_ntop(family, raw)
    return Address(names[index], index, text, until_removed, until_deprecated, _age(tstamp, monotonic), tstamp)


def _age(tstamp: int, monotonic: float) -> float:
    """Return the seconds since a time stamp of the kernel: hundredths of a second since boot, in 32 bits, which wrap after 497 days."""
    age = (int(monotonic * 100) - tstamp) % (1 << 32)
    return 0.0 if age > 1 << 31 else age / 100

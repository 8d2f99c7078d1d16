"""The lifetimes the kernel keeps for each address (rtnetlink(7), IFA_CACHEINFO; net/ipv4/devinet.c, net/ipv6/addrconf.c).

Whatever client set them (dhclient, systemd-networkd, NetworkManager, dhcpcd): it is the kernel that takes the address away.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Any

from collectors.nic.pyroute import part
from collectors.nic.rtnetlink import Interrupted, dump_addresses

FOREVER = 0xFFFFFFFF
_PERMANENT, _TEMPORARY = 0x80, 0x01  # IFA_F_PERMANENT; IFA_F_TEMPORARY, of IPv6 privacy addresses
_FROM_ROUTERS = {1, 2, 3}  # IFAPROT_KERNEL_LO, _RA, _LL: no client's
_IFADDR = struct.Struct("=BBBBi")  # struct ifaddrmsg, after the 16 bytes of nlmsghdr
_DHCPV6_PREFIX = 128
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Address:
    """One address. `remaining` seconds until the kernel removes it, None for one that stays; `age` seconds since a client last set it."""

    interface: str
    index: int
    address: str
    remaining: float | None
    age: float
    deprecated: bool = False

    @property
    def lease(self) -> float | None:
        """Say for how many seconds it was set when it was last set."""
        return None if self.remaining is None else self.remaining + self.age


def is_dynamic(message: bytes) -> bool:
    """Say, from the fixed header alone, whether an address has a lifetime."""
    return len(message) >= 16 + _IFADDR.size and not _IFADDR.unpack_from(message, 16)[2] & _PERMANENT


def read_addresses(monotonic: float) -> list[Address]:
    """List the addresses that a client may have set: IPv4, and IPv6 with a prefix of 128, which is what DHCPv6 gives.

    `monotonic` is CLOCK_MONOTONIC's time, by which `age` is counted. Raises OSError.
    """
    for _ in range(_TRIES):
        try:
            found = dump_addresses()
        except Interrupted:
            continue
        return [address for message in found if (address := parse_address(message, monotonic)) is not None]
    raise Interrupted(0, f"the address table changed under {_TRIES} dumps")


def parse_address(message: bytes, monotonic: float) -> Address | None:
    """Read one RTM_NEWADDR; None where it is none that a client leased, or its interface has gone."""
    if len(message) < 16 + _IFADDR.size:
        return None
    family, prefix, flags, _, index = _IFADDR.unpack_from(message, 16)
    if family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    if family == socket.AF_INET6 and (prefix != _DHCPV6_PREFIX or flags & _TEMPORARY):
        return None
    try:
        decoded: Any = part("netlink.rtnl.ifaddrmsg").ifaddrmsg(message)
        decoded.decode()
        told = {name: value for name, value in decoded["attrs"]}  # noqa: C416 — nla_slot looks like a pair, and is none to dict()
        text = told.get("IFA_LOCAL") or told.get("IFA_ADDRESS")
        life = told.get("IFA_CACHEINFO")
        interface = socket.if_indextoname(index)
    except Exception:  # noqa: BLE001 — a message the library cannot read, or an interface that has just gone: it is no address to us
        return None
    if not isinstance(text, str) or not life or told.get("IFA_PROTO") in _FROM_ROUTERS:
        return None
    valid = life["ifa_valid"]
    stays = bool(flags & _PERMANENT) or valid == FOREVER
    return Address(interface, index, text, None if stays else float(valid), _age(life["tstamp"], monotonic), life["ifa_preferred"] == 0)


def _age(stamp: int, monotonic: float) -> float:
    """Say how long ago the kernel's time stamp was: hundredths of a second since boot, in 32 bits, which wrap after 497 days."""
    age = (int(monotonic * 100) - stamp) % (1 << 32)
    return 0.0 if age > 1 << 31 else age / 100

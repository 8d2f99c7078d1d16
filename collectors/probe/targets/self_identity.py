"""This host's identity in a list of hosts: its addresses, host name and instance id."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, NamedTuple

from collectors.files import read_bytes
from collectors.host import read_identity, read_platform

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from collectors.model import CollectorContext

INSTANCE_ID_LABELS = ("instance_id", "__meta_ec2_instance_id")  # the usual label, and that of Prometheus' ec2_sd

_LOCAL = re.compile(rb"\|-- ([0-9.]+)\n\s+/32 host LOCAL")
_MAX_BYTES = 64 * 1024 * 1024  # bytes of fib_trie: a host with a full routing table has some 60 MB


class SelfIdentity(NamedTuple):
    """Addresses as packed bytes, host name (lower case) and EC2 instance id, each empty where unknown."""

    addresses: frozenset[bytes]
    hostname: str
    instance_id: str

    def key(self) -> str:
        """Return a key for a host that is on no list: unique, although images may share a host name."""
        return self.instance_id or f"{self.hostname} {b' '.join(sorted(self.addresses)).hex()}"

    def among(self, hosts: Iterable[str]) -> set[str]:
        """Return the hosts ("10.0.0.5", "[fd00::5]" or a name) that are this one.

        A host name without dots also matches the one listed name that begins with it; of several, none.
        """
        matching, similar = set(), []
        for host in hosts:
            if host[0] == "[":
                is_own = _packed(socket.AF_INET6, host[1:-1]) in self.addresses
            elif host[-1].isdigit() and (packed := _packed(socket.AF_INET, host)):
                is_own = packed in self.addresses
            else:
                name = host.lower().removesuffix(".")
                is_own = name == self.hostname
                if name.partition(".")[0] == self.hostname:
                    similar.append(host)
            if is_own:
                matching.add(host)
        return matching or set(similar if len(similar) == 1 else ())


def read_self_identity(context: CollectorContext) -> SelfIdentity:
    """Read this host's identity. Never raises: what cannot be read is empty.

    IPv4 from /proc/net/fib_trie (net/ipv4/fib_trie.c: the local table's /32 are the host's own), IPv6 from /proc/net/if_inet6.
    """
    addresses = {_packed(socket.AF_INET, text.decode()) for text in _LOCAL.findall(_read(context, "fib_trie"))}
    addresses |= set(_inet6(_read(context, "if_inet6")))
    identity = read_identity(context.proc, context.root)
    return SelfIdentity(frozenset(addresses - {b""}), identity.hostname.lower().removesuffix("."), read_platform(context.sys).instance_id)


def _inet6(table: bytes) -> Iterator[bytes]:
    """Yield the addresses of if_inet6: lines of 32 hexadecimal digits and five more fields."""
    for line in table.splitlines():
        try:
            address = bytes.fromhex(line.partition(b" ")[0].decode())
        except ValueError:
            continue
        if len(address) == 16:  # noqa: PLR2004 — an IPv6 address
            yield address


def _read(context: CollectorContext, name: str) -> bytes:
    return read_bytes(context.proc / "net" / name, _MAX_BYTES)


def _packed(family: int, text: str) -> bytes:
    try:
        return socket.inet_pton(family, text)
    except (OSError, ValueError):
        return b""

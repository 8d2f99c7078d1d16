"""How an agent knows itself in a list of hosts: its addresses, its host name, its instance id."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, NamedTuple

from collectors.files import read_bytes
from collectors.host import read_identity, read_platform

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from collectors.model import CollectorContext

INSTANCE_ID_LABELS = ("instance_id", "__meta_ec2_instance_id")  # what people and Prometheus' ec2_sd call it

_LOCAL = re.compile(rb"\|-- ([0-9.]+)\n\s+/32 host LOCAL")
_MOST = 64 * 1024 * 1024  # bytes of fib_trie: a host with a full routing table has some 60 MB


class Own(NamedTuple):
    """This host: its addresses as packed bytes, its host name (lower case) and its EC2 instance id, each empty where unknown."""

    addresses: frozenset[bytes]
    hostname: str
    instance_id: str

    def key(self) -> str:
        """Name a host that is on no list: never the same as another's, though images may share a host name."""
        return self.instance_id or f"{self.hostname} {b' '.join(sorted(self.addresses)).hex()}"

    def among(self, hosts: Iterable[str]) -> set[str]:
        """Find the hosts ("10.0.0.5", "[fd00::5]" or a name) that mean this one.

        A host name without dots also means the one listed name that begins with it; where there are several, nobody can tell.
        """
        found, similar = set(), []
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
                found.add(host)
        return found or set(similar if len(similar) == 1 else ())


def read_own(host: CollectorContext) -> Own:
    """Read who this host is. Never raises: what cannot be read is unknown.

    IPv4 from /proc/net/fib_trie (net/ipv4/fib_trie.c: the local table's /32 are the host's own), IPv6 from /proc/net/if_inet6.
    """
    addresses = {_packed(socket.AF_INET, text.decode()) for text in _LOCAL.findall(_read(host, "fib_trie"))}
    addresses |= set(_inet6(_read(host, "if_inet6")))
    identity = read_identity(host.proc, host.root)
    return Own(frozenset(addresses - {b""}), identity.hostname.lower().removesuffix("."), read_platform(host.sys).instance_id)


def _inet6(table: bytes) -> Iterator[bytes]:
    """Give the addresses of if_inet6: 32 hexadecimal digits, and five more words."""
    for line in table.splitlines():
        try:
            yield bytes.fromhex(line.partition(b" ")[0].decode())
        except ValueError:
            continue


def _read(host: CollectorContext, name: str) -> bytes:
    return read_bytes(host.proc / "net" / name, _MOST)


def _packed(family: int, text: str) -> bytes:
    try:
        return socket.inet_pton(family, text)
    except (OSError, ValueError):
        return b""

"""Expansion of names for `vitald probe`: each of a name's addresses becomes a target of its own, as the daemon probes them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from collectors.netlink.route import route, zoned
from collectors.probe.dns.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from collectors.probe.targets.target import SocketAddress, Target

_POLL_SECONDS = 0.01


def expand_names(targets: Sequence[Target], seconds: float) -> list[Target]:
    """Replace a name with its addresses where there are several, up to eight; one that does not resolve within `seconds` stays a name."""
    names = [target.host for target in targets if target.address is None]
    if not names:
        return list(targets)
    resolver, end = Resolver(seconds), time.monotonic() + seconds
    resolver.set_names(names)
    try:
        while time.monotonic() < end and any(resolver.resolve_all(host, 1) is None for host in names):
            time.sleep(_POLL_SECONDS)
        return [expanded for target in targets for expanded in _expand(target, resolver)]
    finally:
        resolver.close()


def _expand(target: Target, resolver: Resolver) -> Iterator[Target]:
    resolved = resolver.resolve_all(target.host, target.port) if target.address is None else None
    addresses = resolved if isinstance(resolved, list) else []
    usable = [address for address in addresses if _has_route(address)] or addresses  # without those of IPv6 on a host without it, say
    if len(usable) < 2:  # noqa: PLR2004 — a single address needs no suffix, and may change meanwhile
        yield target if len(addresses) < 2 else target._replace(address=usable[0])  # noqa: PLR2004
        return
    yield from (target._replace(text=f"{target.text} ({address.sockaddr[0]})", address=address) for address in usable)


def _has_route(address: SocketAddress) -> bool:
    try:
        return bool(route(zoned(address.sockaddr)))
    except OSError:
        return False

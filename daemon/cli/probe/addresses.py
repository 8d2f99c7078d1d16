"""Names of `vitald probe`: each of a name's addresses is a target of its own, as the daemon probes them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from collectors.netlink.route import route, zoned
from collectors.probe.dns.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from collectors.probe.targets.target import Address, Target

_PAUSE = 0.01  # seconds


def every_address(targets: Sequence[Target], seconds: float) -> list[Target]:
    """Put a name's addresses in its place where there are several, up to eight; what is not known within `seconds` stays a name."""
    names = [target.host for target in targets if target.address is None]
    if not names:
        return list(targets)
    resolver, end = Resolver(seconds), time.monotonic() + seconds
    resolver.want(names)
    try:
        while time.monotonic() < end and any(resolver.ask_all(host, 1) is None for host in names):
            time.sleep(_PAUSE)
        return [one for target in targets for one in _each(target, resolver)]
    finally:
        resolver.close()


def _each(target: Target, resolver: Resolver) -> Iterator[Target]:
    found = resolver.ask_all(target.host, target.port) if target.address is None else None
    addresses = found if isinstance(found, list) else []
    usable = [address for address in addresses if _has_way(address)] or addresses  # IPv6 without a route, say, is no news here
    if len(usable) < 2:  # noqa: PLR2004 — one address needs no telling apart, and may change meanwhile
        yield target if len(addresses) < 2 else target._replace(address=usable[0])  # noqa: PLR2004
        return
    yield from (target._replace(text=f"{target.text} ({address.sockaddr[0]})", address=address) for address in usable)


def _has_way(address: Address) -> bool:
    try:
        return bool(route(zoned(address.sockaddr)))
    except OSError:
        return False

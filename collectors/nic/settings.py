"""`[[nic.policy]]`: what users want of their interfaces, and which of their lines speaks of one. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from collectors.interfaces import matches_any
from collectors.nic.checks.version import is_number
from collectors.nic.readers.features import SHORT_NAMES
from collectors.settings import refuse_unless

if TYPE_CHECKING:
    from collections.abc import Sequence

_SMALLEST_MTU, _LARGEST_MTU = 68, 65_536  # RFC 791; IP's own end


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[nic.policy]]`. Beside `interface`, `driver` is what it must have; alone, it says which interfaces are meant."""

    interface: str | None = None
    driver: str | None = None
    min_version: str | None = None
    offloads: dict[str, bool] = msgspec.field(default_factory=dict)
    mtu: int | None = None

    def __post_init__(self) -> None:
        refuse_unless(self.interface is not None or self.driver is not None, "interface or driver: one of them says what is meant")
        refuse_unless(self.interface != "", 'interface: must not be empty; write a name or a pattern like "eth*"')
        refuse_unless(self.driver != "", 'driver: must not be empty; write a name like "ena"')
        version = self.min_version
        refuse_unless(version is None or is_number(version), f'min_version: {version!r} is not a version; write it like "2.2.9"')
        unknown = [name for name in self.offloads if name not in SHORT_NAMES]
        refuse_unless(not unknown, f"offloads: {unknown[:1]!r} is not one of {' '.join(SHORT_NAMES)}")
        right = self.mtu is None or _SMALLEST_MTU <= self.mtu <= _LARGEST_MTU
        refuse_unless(right, f"mtu: must be between {_SMALLEST_MTU} and {_LARGEST_MTU}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the users' lines ask of one interface; all empty where no line speaks of it."""

    driver: str | None = None
    min_version: str | None = None
    offloads: dict[str, bool] = field(default_factory=dict)
    mtu: int | None = None


NOTHING = Wanted()


def wanted(policies: Sequence[Policy], interface: str, driver: str) -> Wanted:
    """Give what the first line that matches asks for."""
    for line in policies:
        if line.interface is not None:
            if matches_any(interface, (line.interface,)):
                return Wanted(line.driver, line.min_version, line.offloads, line.mtu)
        elif line.driver == driver:
            return Wanted(None, line.min_version, line.offloads, line.mtu)
    return NOTHING

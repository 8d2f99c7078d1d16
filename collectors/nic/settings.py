"""`[nic]` and `[[nic.policy]]`: settings, and what they require of one interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from collectors.interfaces import DEFAULT_IGNORE, matches_any
from collectors.nic.checks.version import is_version
from collectors.nic.readers.features import SHORT_NAMES
from collectors.settings import Duration, Settings, refuse_unless

if TYPE_CHECKING:
    from collections.abc import Sequence

_MIN_MTU, _MAX_MTU = 68, 65_536  # RFC 791; Linux' loopback, the largest there is


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[nic.policy]]`. With `interface`, `driver` is a requirement; without, it selects the interfaces."""

    interface: str | None = None
    driver: str | None = None
    min_version: str | None = None
    offloads: dict[str, bool] = msgspec.field(default_factory=dict)
    mtu: int | None = None

    def __post_init__(self) -> None:
        refuse_unless(
            self.interface is not None or self.driver is not None, "interface or driver: one of them is required to select interfaces"
        )
        refuse_unless(self.interface != "", 'interface: must not be empty; expected a name or a pattern like "eth*"')
        refuse_unless(self.driver != "", 'driver: must not be empty; expected a name like "ena"')
        version = self.min_version
        refuse_unless(version is None or is_version(version), f'min_version: {version!r} is not a version; expected one like "2.2.9"')
        unknown = [name for name in self.offloads if name not in SHORT_NAMES]
        refuse_unless(not unknown, f"offloads: {unknown[:1]!r} is not one of {' '.join(SHORT_NAMES)}")
        refuse_unless(self.mtu is None or _MIN_MTU <= self.mtu <= _MAX_MTU, f"mtu: must be between {_MIN_MTU} and {_MAX_MTU}")


class NicSettings(Settings, frozen=True, kw_only=True):
    """`[nic]`."""

    interval: Duration = Duration(5.0)
    full_scan_interval: Duration = Duration(10.0)
    ignore: tuple[str, ...] = DEFAULT_IGNORE
    policy: tuple[Policy, ...] = msgspec.field(default_factory=tuple)

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        refuse_unless(self.interval <= 30.0, "interval: must be at most 30s")  # noqa: PLR2004 — as below: each run may be a full scan
        refuse_unless(5.0 <= self.full_scan_interval <= 30.0, "full_scan_interval: must be between 5s and 30s")  # noqa: PLR2004 — a plateau needs minutes of samples, "now" needs several a minute


@dataclass(frozen=True, slots=True)
class Requirements:
    """What the policies require of one interface; all empty where none matches it."""

    driver: str | None = None
    min_version: str | None = None
    offloads: dict[str, bool] = field(default_factory=dict)
    mtu: int | None = None


NO_REQUIREMENTS = Requirements()


def requirements(policies: Sequence[Policy], interface: str, driver: str) -> Requirements:
    """Return what the first matching policy requires."""
    for policy in policies:
        if policy.interface is not None:
            if matches_any(interface, (policy.interface,)):
                return Requirements(policy.driver, policy.min_version, policy.offloads, policy.mtu)
        elif policy.driver == driver:
            return Requirements(None, policy.min_version, policy.offloads, policy.mtu)
    return NO_REQUIREMENTS

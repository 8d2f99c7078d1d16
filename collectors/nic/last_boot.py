"""Interfaces with a device that the last boot had: those that this boot lacks are lost. Pure; kept in the collector's state file.

An interface is the same if its MAC address or its bus address is: neither a rename nor a renumbered bus loses one. One that goes while
the host runs (a detached ENI) is forgotten at once, so that only a reboot loses interfaces. A lost one is forgotten when it comes back,
or at the next boot.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any

from collectors.nic.reading import LostInterface

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.nic.reading import Nic

MAX_INTERFACES = 64  # in the state file; an instance has 15


@dataclass(frozen=True, slots=True)
class LastBoot:
    """`present` are the interfaces of the boot `boot` on the host `host`, `lost` those of the boot before that it lacks."""

    boot: str = ""
    host: str = ""
    present: tuple[LostInterface, ...] = ()
    lost: tuple[LostInterface, ...] = field(default=())


def update(known: LastBoot, boot: str, host: str, nics: Iterable[Nic]) -> LastBoot:
    """Return what is known after a scan. `host` identifies the machine: the state of an image's source says nothing about its copies.

    Without a boot id nothing is compared.
    """
    present = tuple(found for nic in nics if (found := _identity(nic)) is not None)[:MAX_INTERFACES]
    if not boot or known.host != host:
        return LastBoot(boot, host, present)
    candidates = known.lost if known.boot == boot else known.present
    return LastBoot(boot, host, present, tuple(lost for lost in candidates if not _is_among(lost, present)))


def dump(known: LastBoot) -> dict[str, Any]:
    """Return it as plain JSON values."""
    return {
        "boot": known.boot,
        "host": known.host,
        "present": [list(astuple(interface)) for interface in known.present],
        "lost": [list(astuple(interface)) for interface in known.lost],
    }


def restore(saved: Any) -> LastBoot:  # noqa: ANN401 — whatever the state file holds
    """Read what `dump` returned; anything else is ignored: a comparison is then possible from the next boot on."""
    match saved:
        case {"boot": str() as boot, "host": str() as host, "present": list() as present, "lost": list() as lost}:
            return LastBoot(boot, host, _interfaces(present), _interfaces(lost))
    return LastBoot()


def _interfaces(raw: list[Any]) -> tuple[LostInterface, ...]:
    rows = (row for row in raw[:MAX_INTERFACES] if isinstance(row, list) and len(row) == 4)  # noqa: PLR2004 — the fields
    return tuple(LostInterface(*row) for row in rows if all(isinstance(value, str) for value in row) and row[0] and row[2])


def _identity(nic: Nic) -> LostInterface | None:
    device = nic.link.device
    return LostInterface(nic.link.name, device.mac, device.bus, nic.driver_name) if device.physical and device.bus else None


def _is_among(lost: LostInterface, present: Iterable[LostInterface]) -> bool:
    return any(lost.bus == other.bus or (lost.mac != "" and lost.mac == other.mac) for other in present)

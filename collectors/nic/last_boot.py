"""Interfaces with a device that the last boot had: those that this boot lacks are lost. Pure; kept in the collector's state file.

An interface is the same if its MAC address or its bus address is: neither a rename nor a renumbered bus loses one. One that goes while
the host runs (a detached ENI) is forgotten at once, so that only a reboot loses interfaces. A lost one is forgotten when it comes back,
or at the next boot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.nic.reading import LostInterface
from collectors.state import State, Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.nic.reading import Nic

MAX_INTERFACES = 64  # in the state file; an instance has 15


class LastBoot(State, frozen=True):
    """`present` are the interfaces of the boot `boot` on the host `host`, `lost` those of the boot before that it lacks."""

    boot: Text = ""
    host: Text = ""
    present: tuple[LostInterface, ...] = ()
    lost: tuple[LostInterface, ...] = ()


def update(known: LastBoot, boot: str, host: str, nics: Iterable[Nic]) -> LastBoot:
    """Return what is known after a scan. `host` identifies the machine: the state of an image's source says nothing about its copies.

    Without a boot id nothing is compared.
    """
    present = tuple(found for nic in nics if (found := _identity(nic)) is not None)[:MAX_INTERFACES]
    if not boot or known.host != host:
        return LastBoot(boot=boot, host=host, present=present)
    candidates = known.lost if known.boot == boot else known.present
    lost = tuple(lost for lost in candidates if not _is_among(lost, present))
    return LastBoot(boot=boot, host=host, present=present, lost=lost)


def _identity(nic: Nic) -> LostInterface | None:
    device = nic.link.device
    return LostInterface(nic.link.name, device.mac, device.bus, nic.driver_name) if device.physical and device.bus else None


def _is_among(lost: LostInterface, present: Iterable[LostInterface]) -> bool:
    return any(lost.bus == other.bus or (lost.mac != "" and lost.mac == other.mac) for other in present)

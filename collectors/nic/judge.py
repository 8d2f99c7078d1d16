"""Judge of the NIC collector: every check of every interface. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.model import Level, Verdict
from collectors.nic.change_history import iso_time
from collectors.nic.checks.allowance import allowance_verdict
from collectors.nic.checks.device import device_verdicts
from collectors.nic.checks.driver import driver_verdict
from collectors.nic.checks.link_state import link_verdict, mtu_verdict
from collectors.nic.checks.next_boot import next_boot_verdicts
from collectors.nic.checks.offload import offload_verdict
from collectors.nic.checks.stall import stall_verdict
from collectors.text import known_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.nic.reading import Nic, NicReading


def verdicts(reading: NicReading) -> Iterator[Verdict]:
    """Judge every interface by every check, and every network device; interfaces that vanished are judged by `nic_link`."""
    for nic in reading.nics:
        yield from _nic_verdicts(nic, reading)
    for name, at in reading.gone.items():
        yield _vanished_verdict(name, at)
    yield from device_verdicts(reading)
    yield from next_boot_verdicts(reading)


def _nic_verdicts(nic: Nic, reading: NicReading) -> Iterator[Verdict]:
    yield driver_verdict(nic, reading.release, reading.wall)
    yield offload_verdict(nic, reading.release)
    yield mtu_verdict(nic, reading.wall)
    yield link_verdict(nic, reading.samples)
    if (allowance := allowance_verdict(nic, reading.samples)) is not None:
        yield allowance
    if nic.link.physical:
        yield stall_verdict(nic, reading.samples)


def _vanished_verdict(name: str, at: float) -> Verdict:
    """Judge an interface with a device that vanished at a Unix time."""
    text = f"the interface vanished{f' at {iso_time(at)}' if iso_time(at) else ''}"
    remediation = "if it was not detached on purpose: dmesg | tail, and the instance's console log"
    return Verdict("nic_link", name, Level.WARNING, text, known_facts({"at": iso_time(at)}), remediation)

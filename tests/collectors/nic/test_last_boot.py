"""Interfaces that a reboot lost: kept in the state file from boot to boot."""

from __future__ import annotations

import pytest

from collectors.model import Level, Verdict
from collectors.nic.checks.device import device_verdicts
from collectors.nic.inventory import BootIdentity, Inventory
from collectors.nic.last_boot import LastBoot, update
from collectors.nic.readers.sysfs import Device, LinkState
from collectors.nic.reading import LostInterface, Nic, NicReading
from tests.kit.slots import Kept
from tests.kit.texts import assert_complete

pytestmark = pytest.mark.fault(144)

HOST = "machine i-0123456789abcdef0"


def nic(name: str, bus: str, mac: str) -> Nic:
    return Nic(LinkState(name, 2, 9001, up=True, carrier=True, carrier_changes=1, device=Device(True, "ena", "ena", "", "", bus, mac)))  # noqa: FBT003


FIRST, SECOND = nic("ens5", "0000:00:05.0", "02:00:00:00:00:05"), nic("ens6", "0000:00:06.0", "02:00:00:00:00:06")


def boots(*scans: tuple[str, list[Nic]], host: str = HOST) -> list[str]:
    """Run scans of (boot id, interfaces), with a restart of the program before each; return what is lost at the end."""
    known = LastBoot()
    for boot, nics in scans:
        known = update(Kept.of(known).load(LastBoot), boot, host, nics)
    return [lost.name for lost in known.lost]


def test_an_interface_that_a_reboot_lost_is_reported_until_it_is_back_or_the_next_boot() -> None:
    both, one = [FIRST, SECOND], [FIRST]
    assert boots(("a", both), ("b", one)) == ["ens6"]
    assert boots(("a", both), ("b", []), ("b", one)) == ["ens6"]  # the first interface comes late
    assert boots(("a", both), ("b", one), ("b", one)) == ["ens6"]
    assert boots(("a", both), ("b", one), ("b", both)) == []
    assert boots(("a", both), ("b", one), ("b", both), ("b", one)) == []  # attached again, then detached while running
    assert boots(("a", both), ("b", one), ("c", one)) == []
    assert boots(("a", both), ("b", one), ("c", both), ("d", one)) == ["ens6"]


def test_one_that_was_detached_while_the_host_ran_is_not_lost() -> None:
    assert boots(("a", [FIRST, SECOND]), ("a", [FIRST]), ("b", [FIRST])) == []
    assert boots(("a", [FIRST, SECOND]), ("a", [FIRST])) == []


def test_neither_a_rename_nor_a_renumbered_bus_loses_one() -> None:
    renamed, moved = nic("eth1", "0000:00:06.0", "02:00:00:00:00:06"), nic("ens7", "0000:00:07.0", "02:00:00:00:00:06")
    replaced = nic("ens6", "0000:00:06.0", "02:00:00:00:00:99")
    for other in (renamed, moved, replaced):
        assert boots(("a", [FIRST, SECOND]), ("b", [FIRST, other])) == []
    no_mac = nic("ens6", "0000:00:06.0", "")
    assert boots(("a", [FIRST, no_mac]), ("b", [nic("ens5", "0000:00:05.0", "")])) == ["ens6"]  # an empty address is none


def test_the_state_of_an_image_says_nothing_about_its_copies() -> None:
    known = update(LastBoot(), "a", HOST, [FIRST, SECOND])
    assert update(known, "b", "machine i-0fedcba9876543210", [FIRST]).lost == ()
    assert update(known, "", HOST, [FIRST]).lost == ()  # without a boot id nothing is compared


def test_interfaces_without_a_device_and_virtual_functions_are_not_kept() -> None:
    bridge = Nic(LinkState("br0", 3, 1500, up=True, carrier=True, carrier_changes=1))
    assert update(LastBoot(), "a", HOST, [bridge, nic("ens5v0", "", "")]).present == ()


@pytest.mark.parametrize(
    "saved", [None, [], {"boot": 1}, {"boot": "a", "host": "", "present": [["x"]], "lost": [[1, 2, 3, 4]]}, {"boot": "a"}]
)
def test_an_unusable_state_is_ignored(saved: object) -> None:
    known = Kept.of(saved).load(LastBoot)
    assert (known.present, known.lost) == ((), ())


class Interfaces:
    """A reader of interfaces that the test lists."""

    def __init__(self, *nics: Nic) -> None:
        self.nics = {found.link.name: found for found in nics}

    def interfaces(self) -> list[str]:
        return list(self.nics)

    def read(self, name: str, _before: Nic | None) -> Nic | None:
        return self.nics.get(name)

    def links(self) -> list[LinkState]:
        return [found.link for found in self.nics.values()]

    def discard(self, name: str) -> None:
        pass


def test_the_state_file_carries_it_over_a_reboot_and_ignore_ends_it() -> None:
    slot = Kept()
    Inventory(Interfaces(FIRST, SECOND), (), slot, BootIdentity("a", HOST)).scan(1e9)  # type: ignore[arg-type]
    after = Inventory(Interfaces(FIRST), (), slot, BootIdentity("b", HOST))  # type: ignore[arg-type]
    after.scan(1e9 + 60)
    assert [lost.name for lost in after.lost()] == ["ens6"]
    acknowledged = Inventory(Interfaces(FIRST), ("ens6",), slot, BootIdentity("b", HOST))  # type: ignore[arg-type]
    acknowledged.scan(1e9 + 120)
    assert acknowledged.lost() == ()


LOST = LostInterface("ens6", "02:00:00:00:00:06", "0000:00:06.0", "ena")


def judged(nics: tuple[Nic, ...], uptime: float | None = 600.0) -> Verdict:
    (verdict,) = device_verdicts(NicReading(1e9, "6.1.0-50-amd64", nics, lost=(LOST,), uptime=uptime))
    assert_complete(verdict)
    return verdict


def test_a_lost_interface_is_a_warning_and_critical_where_it_was_the_last() -> None:
    verdict = judged((FIRST,))
    assert (verdict.check, verdict.subject, verdict.level) == ("nic_device", "ens6", Level.WARNING)
    assert verdict.message == ("ens6 (02:00:00:00:00:06, driver ena) was there before the reboot, and is gone with its device 0000:00:06.0")
    assert "add ens6 to [nic] ignore" in verdict.remediation
    assert judged(()).level == Level.CRITICAL
    assert judged(()).level == judged((), None).level
    assert judged((), 20.0).level == Level.HEALTHY

"""Checks `nic_mtu` and `nic_link`: MTU, carrier, driver resets and flaps. Pure."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from collectors.model import Level, Verdict
from collectors.nic.change_history import RECENT_SECONDS, since, since_clause
from collectors.nic.samples import critical_resets, reset_increases
from collectors.text import known_facts

if TYPE_CHECKING:
    from collectors.nic.reading import Nic
    from collectors.nic.samples import Sample

FLAP_SECONDS = 300.0
_RESET_REMEDIATION = "dmesg | tail; if a vCPU is starved (top: steal, softirq), relieve it; else update the driver, then ask AWS support"


def mtu_verdict(nic: Nic, wall: float) -> Verdict:
    """Judge the MTU: as policy requires, and not reduced lately."""
    name, mtu, change, required = nic.link.name, nic.link.mtu, nic.changes.get("mtu"), nic.required.mtu
    before = change.before if change else None
    evidence = known_facts({"mtu": mtu, "since": since(change)})
    command = f"ip link set {quote(name)} mtu"
    if mtu is None:
        return Verdict("nic_mtu", name, Level.HEALTHY, "the MTU cannot be read")
    if required is not None and mtu != required:
        text = f"MTU is {mtu}, should be {required}{since_clause(change)}"
        return Verdict("nic_mtu", name, Level.WARNING, text, evidence, f"{command} {required}")
    is_reduced = required is None and change is not None and isinstance(before, int) and before > mtu
    if change is not None and is_reduced and 0 <= wall - change.since < RECENT_SECONDS:
        text = f"MTU fell from {before} to {mtu}{since_clause(change)}"
        return Verdict("nic_mtu", name, Level.WARNING, text, evidence | {"before": before}, f"{command} {before}, if it was not intended")
    return Verdict("nic_mtu", name, Level.HEALTHY, "", evidence)


def link_verdict(nic: Nic, samples: tuple[Sample, ...]) -> Verdict:
    """Judge the link: carrier, driver resets, flaps."""
    link = nic.link
    evidence = known_facts({"up": link.up, "carrier": link.carrier, "carrier_changes": link.carrier_changes})
    if link.up and link.carrier is False:
        text = f"no carrier{since_clause(nic.changes.get('carrier'))}"
        remediation = "dmesg | tail; on EC2: detach and attach the interface, or reboot"
        return Verdict("nic_link", link.name, Level.CRITICAL, text, evidence, remediation)
    if resets := reset_increases(link.name, samples, FLAP_SECONDS):
        reasons = ", ".join(f"{reason} {count}" for reason, count in resets.items())
        text = f"driver resets or TX timeouts within {FLAP_SECONDS / 60:.0f} minutes: {reasons}"
        level = Level.CRITICAL if critical_resets(resets) else Level.WARNING
        return Verdict("nic_link", link.name, level, text, evidence | {"resets": resets}, _RESET_REMEDIATION)
    flaps = _flaps(link.name, link.carrier_changes, samples)
    if flaps > 1:  # one change is the interface being switched on
        text = f"the carrier changed {flaps} times within {FLAP_SECONDS / 60:.0f} minutes"
        return Verdict("nic_link", link.name, Level.WARNING, text, evidence | {"flaps": flaps}, "dmesg | tail; look for driver resets")
    return Verdict("nic_link", link.name, Level.HEALTHY, "", evidence)


def _flaps(name: str, now: int, samples: tuple[Sample, ...]) -> int:
    """Count carrier changes of the last minutes; a counter that fell belongs to a new interface."""
    recent = (sample.carrier_changes.get(name) for sample in samples if samples[-1].at - sample.at <= FLAP_SECONDS)
    oldest = next((changes for changes in recent if changes is not None), now)
    return max(0, now - oldest)

"""MTU, carrier, flaps, driver resets, and interfaces that vanished. Pure."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from collectors.model import Level, Verdict
from collectors.nic.change_history import NEWS_SECONDS, since, stamp
from collectors.nic.checks.allowance import grave, reset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.nic.reading import Nic, Reading, Sample

FLAP_SECONDS = 300.0
_RESET_MEND = "dmesg | tail; is a vCPU starved (top: steal, softirq)? then update the driver, else ask AWS support"


def mtu_verdict(nic: Nic, wall: float) -> Verdict:
    """Judge the MTU: as policy asks, and not silently smaller than it was."""
    name, mtu, change, wanted = nic.link.name, nic.link.mtu, nic.changes.get("mtu"), nic.wanted.mtu
    before = change.before if change else None
    evidence = {"mtu": mtu, "since": since(change).removeprefix("since ")}
    remediation = f"ip link set {quote(name)} mtu"
    if mtu is None:
        return Verdict("nic_mtu", name, Level.HEALTHY, "the MTU cannot be read")
    if wanted is not None and mtu != wanted:
        return Verdict(
            "nic_mtu", name, Level.WARNING, f"MTU is {mtu}, should be {wanted}, {since(change)}", evidence, f"{remediation} {wanted}"
        )
    fell = wanted is None and change is not None and isinstance(before, int) and before > mtu
    if change is not None and fell and 0 <= wall - change.since < NEWS_SECONDS:
        text = f"MTU fell from {before} to {mtu} at {stamp(change.since)}"
        return Verdict("nic_mtu", name, Level.WARNING, text, evidence | {"before": before}, f"{remediation} {before}, if nobody meant it")
    return Verdict("nic_mtu", name, Level.HEALTHY, "", evidence)


def link_verdicts(reading: Reading) -> Iterator[Verdict]:
    """Judge the links: carrier, flaps, and interfaces that vanished."""
    for nic in reading.nics:
        yield _link(nic, reading.samples)
    for name, at in reading.gone.items():
        text = f"the interface vanished at {stamp(at)}"
        yield Verdict(
            "nic_link", name, Level.WARNING, text, {"at": stamp(at)}, "if nobody detached it: dmesg | tail, and the instance's console log"
        )


def _link(nic: Nic, samples: tuple[Sample, ...]) -> Verdict:
    link = nic.link
    evidence = {"up": link.up, "carrier": link.carrier, "carrier_changes": link.carrier_changes}
    if link.up and link.carrier is False:
        text, remediation = (
            f"no carrier, {since(nic.changes.get('carrier'))}",
            "dmesg | tail; on EC2: detach and attach the interface, or reboot",
        )
        return Verdict("nic_link", link.name, Level.CRITICAL, text, evidence, remediation)
    resets = reset(link.name, samples, FLAP_SECONDS)
    if resets:
        said = ", ".join(f"{reason} {count}" for reason, count in resets.items())
        text = f"the driver reset itself or stood still within {FLAP_SECONDS / 60:.0f} minutes: {said}"
        level = Level.CRITICAL if grave(resets) else Level.WARNING
        return Verdict("nic_link", link.name, level, text, evidence | {"resets": resets}, _RESET_MEND)
    flaps = _flaps(link.name, link.carrier_changes, samples)
    if flaps > 1:  # one change is somebody switching it on
        text = f"the carrier changed {flaps} times within {FLAP_SECONDS / 60:.0f} minutes"
        return Verdict("nic_link", link.name, Level.WARNING, text, evidence | {"flaps": flaps}, "dmesg | tail; look for driver resets")
    return Verdict("nic_link", link.name, Level.HEALTHY, "", evidence)


def _flaps(name: str, now: int, samples: tuple[Sample, ...]) -> int:
    """Count carrier changes of the last minutes; a counter that fell belongs to a new interface."""
    oldest = next(
        (
            seen
            for sample in samples
            if samples[-1].at - sample.at <= FLAP_SECONDS and (seen := sample.carrier_changes.get(name)) is not None
        ),
        now,
    )
    return max(0, now - oldest)

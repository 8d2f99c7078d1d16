"""Is the driver in use the right one, new enough, and not known to be bad? Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collectors.model import Level, Verdict
from collectors.nic import rules
from collectors.nic.memory import NEWS_SECONDS, stamp
from collectors.nic.version import Shape, older, shape

if TYPE_CHECKING:
    from collectors.nic.ethtool import Driver
    from collectors.nic.reading import Nic


def driver_verdict(nic: Nic, release: str, wall: float) -> Verdict:
    """Judge the driver in use: the right one, new enough, not known to be bad."""
    driver, name = nic.driver, nic.driver_name
    change = nic.changes.get("driver")
    evidence: dict[str, Any] = {"driver": name, "since": stamp(change.since if change else None)}
    if driver is not None:
        evidence |= {"version": driver.version, "shape": shape(driver.version, release).value, "bus": driver.bus, "queues": nic.link.queues}

    def say(level: Level, message: str, mend: str = "", **more: Any) -> Verdict:  # noqa: ANN401
        return Verdict("nic_driver", nic.link.name, level, message, evidence | more, mend)

    required = nic.wanted.driver
    if required is not None and rules.MODULES.get(name, name) != rules.MODULES.get(required, required):
        return say(
            Level.CRITICAL,
            f"driver is {name or 'unknown'}, should be {required}, since {evidence['since']}",
            _switch(required),
            required=required,
        )
    if change is not None and change.before in rules.ENHANCED and name in rules.XEN:
        text = f"fell back from {change.before} to {name}, without enhanced networking, since {evidence['since']}"
        return say(Level.CRITICAL, text, _switch(str(change.before)), before=change.before)
    if driver is not None:
        level, message, mend, advice = _version(nic, driver, release)
        if advice:
            evidence["advice"] = advice
        if level:
            return say(level, message, mend)
    if change is not None and change.before not in {None, "", name} and 0 <= wall - change.since < NEWS_SECONDS:
        return say(
            Level.WARNING, f"driver was {change.before}, is {name or 'unknown'}, since {evidence['since']}", "", before=change.before
        )
    return say(Level.HEALTHY, "")


def _switch(driver: str) -> str:
    module = rules.MODULES.get(driver, driver)
    return f"modprobe {module} && dmesg | grep {module}; after a kernel upgrade: install its headers, then dkms autoinstall"


def _version(nic: Nic, driver: Driver, release: str) -> tuple[Level, str, str, list[str]]:
    """Judge the version: level, message, mend, and advice that is no finding."""
    kind = shape(driver.version, release)
    proven = [proof for proof in rules.PROOFS if proof.driver == driver.name and proof.counter in nic.counters.names]
    own = kind in {Shape.GITHUB, Shape.OWN, Shape.UPSTREAM}

    def below(floor: str) -> bool:
        return own and older(driver.version, floor) and not any(not older(proof.version, floor) for proof in proven)

    floor = nic.wanted.min_version
    if floor is not None and below(floor):
        return Level.CRITICAL, f"{driver.name} {driver.version} is older than {floor}, which nic.policy asks for", _update(driver.name), []
    if floor is not None and not own and not any(not older(proof.version, floor) for proof in proven):
        text = (
            f"{driver.name} is the kernel's own build and has no version: nic.policy asks for {floor} or newer, and nothing here proves it"
        )
        return Level.WARNING, text, _update(driver.name), []
    for bad in rules.BAD:
        if own and bad.driver == driver.name and not older(driver.version, bad.first) and not older(bad.last, driver.version):
            return (
                Level.WARNING,
                f"{driver.name} {driver.version} is known to be bad: {bad.reason} ({bad.source})",
                _update(driver.name),
                [],
            )
    low = [rule for rule in rules.FLOORS if rule.driver == driver.name and below(rule.version)]
    advice = [f"{rule.version}: {rule.reason} ({rule.source})" for rule in low if not rule.level]
    for rule in sorted(low, key=lambda rule: -rule.level)[:1]:
        if rule.level:
            return (
                rule.level,
                f"{driver.name} {driver.version} is older than {rule.version}: {rule.reason} ({rule.source})",
                rule.mend,
                advice,
            )
    return Level.HEALTHY, "", "", advice


def _update(driver: str) -> str:
    return next((rule.mend for rule in rules.FLOORS if rule.driver == driver), f"update the driver {driver}")

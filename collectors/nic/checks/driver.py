"""Is the driver in use the right one, new enough, and not known to be bad? Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collectors.model import Level, Verdict
from collectors.nic import known_issues as rules
from collectors.nic.change_history import NEWS_SECONDS, since
from collectors.nic.checks.version import shape
from collectors.nic.checks.version_assessment import stand

if TYPE_CHECKING:
    from collectors.nic.reading import Nic


def driver_verdict(nic: Nic, release: str, wall: float) -> Verdict:
    """Judge the driver in use: the right one, new enough, not known to be bad."""
    driver, name = nic.driver, nic.driver_name
    change = nic.changes.get("driver")
    evidence: dict[str, Any] = {"driver": name, "since": since(change).removeprefix("since ")}
    if driver is not None:
        evidence |= {"version": driver.version, "shape": shape(driver.version, release).value, "bus": driver.bus, "queues": nic.link.queues}

    def say(level: Level, message: str, remediation: str = "", **more: Any) -> Verdict:  # noqa: ANN401
        return Verdict("nic_driver", nic.link.name, level, message, evidence | more, remediation)

    required = nic.wanted.driver
    if required is not None and rules.MODULES.get(name, name) != rules.MODULES.get(required, required):
        return say(
            Level.CRITICAL,
            f"driver is {name or 'unknown'}, should be {required}, {since(change)}",
            _switch(required),
            required=required,
        )
    if change is not None and change.before in rules.ENHANCED and name in rules.XEN:
        text = f"fell back from {change.before} to {name}, without enhanced networking, {since(change)}"
        return say(Level.CRITICAL, text, _switch(str(change.before)), before=change.before)
    if driver is not None:
        standing = stand(driver.name, driver.version, release, nic.counters.names)
        advice = [f"{rule.version}: {rule.reason} ({rule.source})" for rule in standing.low() if not rule.level]
        if advice:
            evidence["advice"] = advice
        level, message = standing.finding(nic.wanted.min_version)
        if level:
            return say(level, message, standing.remediation)
    if change is not None and change.before not in {None, "", name} and 0 <= wall - change.since < NEWS_SECONDS:
        return say(Level.WARNING, f"driver was {change.before}, is {name or 'unknown'}, {since(change)}", "", before=change.before)
    return say(Level.HEALTHY, "")


def _switch(driver: str) -> str:
    module = rules.MODULES.get(driver, driver)
    return f"modprobe {module} && dmesg | grep {module}; after a kernel upgrade: install its headers, then dkms autoinstall"

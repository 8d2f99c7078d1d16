"""Check `nic_driver`: the driver in use is the required one, new enough and not known to be bad. Pure."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Any

from collectors.model import Level, Verdict
from collectors.nic import known_issues
from collectors.nic.change_history import RECENT_SECONDS, since, since_clause
from collectors.nic.checks.version import version_origin
from collectors.nic.checks.version_assessment import assess_version
from collectors.text import known_facts

if TYPE_CHECKING:
    from collectors.nic.reading import Nic


def driver_verdict(nic: Nic, release: str, wall: float) -> Verdict:
    """Judge the driver in use: by policy, by a fallback without enhanced networking, by its version, by a recent change."""
    driver, name = nic.driver, nic.driver_name
    change = nic.changes.get("driver")
    evidence: dict[str, Any] = {"driver": name, "since": since(change)}
    if driver is not None:
        origin = version_origin(driver.version, release).value
        evidence |= {"version": driver.version, "version_origin": origin, "bus": driver.bus, "queues": nic.link.queues}

    def verdict(level: Level, message: str, remediation: str = "", **more: Any) -> Verdict:  # noqa: ANN401
        return Verdict("nic_driver", nic.link.name, level, message, known_facts(evidence | more), remediation)

    required = nic.required.driver
    if required is not None and known_issues.MODULES.get(name, name) != known_issues.MODULES.get(required, required):
        text = f"driver is {name or 'not known'}, should be {required}{since_clause(change)}"
        return verdict(Level.CRITICAL, text, _switch_to(required), required=required)
    if change is not None and change.before in known_issues.ENHANCED and name in known_issues.XEN:
        text = f"fell back from {change.before} to {name}, without enhanced networking{since_clause(change)}"
        return verdict(Level.CRITICAL, text, _switch_to(str(change.before)), before=change.before)
    if driver is not None:
        assessment = assess_version(driver.name, driver.version, release, nic.counters.version_counters)
        advice = [f"{rule.version}: {rule.reason} ({rule.source})" for rule in assessment.unmet_minimums() if not rule.level]
        if advice:
            evidence["advice"] = advice
        level, message = assessment.finding(nic.required.min_version)
        if level:
            return verdict(level, message, assessment.remediation)
    if change is not None and change.before not in {None, "", name} and 0 <= wall - change.since < RECENT_SECONDS:
        text = f"driver was {change.before}, is {name or 'not known'}{since_clause(change)}"
        return verdict(Level.WARNING, text, before=change.before)
    if driver is None and nic.link.physical:
        text = f"could not tell: ethtool reports nothing for this device, so the version of {name or 'its driver'} is not known"
        return verdict(Level.UNKNOWN, text, f"ethtool -i {quote(nic.link.name)} shows the error")
    return verdict(Level.HEALTHY, "")


def _switch_to(driver: str) -> str:
    module = known_issues.MODULES.get(driver, driver)
    return f"modprobe {module} && dmesg | grep {module}; after a kernel upgrade: install its headers, then dkms autoinstall"

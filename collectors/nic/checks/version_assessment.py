"""Assessment of a driver's version: by its own number where it has one, else by counters and kernel releases. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.model import Level
from collectors.nic import known_issues
from collectors.nic.checks.version import VersionOrigin, is_older, release_key, version_origin

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

_OWN = frozenset({VersionOrigin.GITHUB, VersionOrigin.OWN, VersionOrigin.UPSTREAM})


@dataclass(frozen=True, slots=True)
class VersionAssessment:
    """A driver and its version. `is_own`: the number is the driver's, not the kernel's; `proven`: versions proven by other evidence."""

    driver: str
    version: str
    is_own: bool
    proven: tuple[str, ...]
    unmet_kernel: known_issues.MinimumKernel | None = None  # the minimum that the kernel of an in-tree driver is below

    @property
    def remediation(self) -> str:
        """How to update this driver."""
        found = (rule.remediation for rule in known_issues.MINIMUM_VERSIONS if rule.driver == self.driver)
        return next(found, f"update the driver {self.driver}")

    def proves(self, minimum: str) -> bool:
        """Return whether other evidence proves it to be at least that version."""
        return any(not is_older(version, minimum) for version in self.proven)

    def is_below(self, minimum: str) -> bool:
        """Return whether its own number is below a minimum and no other evidence contradicts."""
        return self.is_own and is_older(self.version, minimum) and not self.proves(minimum)

    def unmet_minimums(self) -> Iterator[known_issues.MinimumVersion]:
        """Return the known minimums that it is below, the worst first."""
        found = (rule for rule in known_issues.MINIMUM_VERSIONS if rule.driver == self.driver and self.is_below(rule.version))
        yield from sorted(found, key=lambda rule: -rule.level)

    def finding(self, min_version: str | None) -> tuple[Level, str]:
        """Return level and message: by what policy requires, then by known bad and outdated versions."""
        name = f"{self.driver} {self.version}"
        if min_version is not None and self.is_below(min_version):
            return Level.CRITICAL, f"{name} is older than {min_version}, which nic.policy requires"
        if min_version is not None and not self.is_own and not self.proves(min_version):
            text = f"{self.driver} is the in-tree driver and states no version"
            return Level.WARNING, f"{text}: nic.policy requires {min_version} or newer, and no counter proves it"
        for bad in known_issues.BAD_VERSIONS:
            if bad.driver == self.driver and self.is_own and not is_older(self.version, bad.first) and not is_older(bad.last, self.version):
                return Level.WARNING, f"{name} is known to be bad: {bad.reason} ({bad.source})"
        for rule in self.unmet_minimums():
            if rule.level:
                return rule.level, f"{name} is older than {rule.version}: {rule.reason} ({rule.source})"
        if self.unmet_kernel is not None and not self.is_own:
            kernel = self.unmet_kernel
            return Level.WARNING, f"the in-tree {self.driver} is older than that of {kernel.release}: {kernel.reason} ({kernel.source})"
        return Level.HEALTHY, ""


def assess_version(driver: str, version: str, release: str, counters: Container[str]) -> VersionAssessment:
    """Assess the version of `ethtool -i` by the running kernel's release and by the counters that exist."""
    proven = [rule.version for rule in known_issues.VERSION_EVIDENCE if rule.driver == driver and rule.counter in counters]
    minimum = next((rule for rule in known_issues.MINIMUM_KERNELS if rule.driver == driver and re.match(rule.pattern, release)), None)
    is_unmet = minimum is not None and release_key(release) < release_key(minimum.release)
    if minimum is not None and not is_unmet:
        proven.append(minimum.version)
    is_own = version_origin(version, release) in _OWN
    return VersionAssessment(driver, version, is_own, tuple(proven), minimum if is_unmet and not proven else None)

"""What a driver's version is worth: judged by its own number where it has one, by what proves a version where not. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.model import Level
from collectors.nic import known_issues as rules
from collectors.nic.checks.version import Shape, older, release_key, shape

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

_OWN = frozenset({Shape.GITHUB, Shape.OWN, Shape.UPSTREAM})


@dataclass(frozen=True, slots=True)
class Standing:
    """A driver and what is known of its version. `own`: the number is the driver's; `proven`: versions that something else proves."""

    driver: str
    version: str
    own: bool
    proven: tuple[str, ...]
    kernel: rules.KernelFloor | None = None  # the floor that the kernel's own build is below

    @property
    def remediation(self) -> str:
        """Say how this driver is brought up to date."""
        return next((rule.remediation for rule in rules.FLOORS if rule.driver == self.driver), f"update the driver {self.driver}")

    def proves(self, floor: str) -> bool:
        """Say whether something other than the number proves it to be at least that."""
        return any(not older(version, floor) for version in self.proven)

    def below(self, floor: str) -> bool:
        """Say whether its own number is below a floor and nothing disproves it."""
        return self.own and older(self.version, floor) and not self.proves(floor)

    def low(self) -> Iterator[rules.Floor]:
        """Give the built-in floors that it is below, the worst first."""
        found = (rule for rule in rules.FLOORS if rule.driver == self.driver and self.below(rule.version))
        yield from sorted(found, key=lambda rule: -rule.level)

    def finding(self, asked: str | None) -> tuple[Level, str]:
        """Judge it by what policy asks, then by what is known to be bad or too old."""
        name = f"{self.driver} {self.version}"
        if asked is not None and self.below(asked):
            return Level.CRITICAL, f"{name} is older than {asked}, which nic.policy asks for"
        if asked is not None and not self.own and not self.proves(asked):
            text = f"{self.driver} is the kernel's own build and has no version"
            return Level.WARNING, f"{text}: nic.policy asks for {asked} or newer, and nothing here proves it"
        for bad in rules.BAD:
            if self.own and bad.driver == self.driver and not older(self.version, bad.first) and not older(bad.last, self.version):
                return Level.WARNING, f"{name} is known to be bad: {bad.reason} ({bad.source})"
        for rule in self.low():
            if rule.level:
                return rule.level, f"{name} is older than {rule.version}: {rule.reason} ({rule.source})"
        if self.kernel is not None and not self.own:
            text = (
                f"the kernel's own {self.driver} is older than that of {self.kernel.release}: {self.kernel.reason} ({self.kernel.source})"
            )
            return Level.WARNING, text
        return Level.HEALTHY, ""


def stand(driver: str, version: str, release: str, counters: Container[str]) -> Standing:
    """Weigh what `ethtool -i` says, by the running kernel's release and by the counters that exist."""
    proven = [proof.version for proof in rules.PROOFS if proof.driver == driver and proof.counter in counters]
    floor = next((one for one in rules.KERNEL_FLOORS if one.driver == driver and re.match(one.pattern, release)), None)
    low = floor is not None and release_key(release) < release_key(floor.release)
    if floor is not None and not low:
        proven.append(floor.version)
    return Standing(driver, version, shape(version, release) in _OWN, tuple(proven), floor if low and not proven else None)

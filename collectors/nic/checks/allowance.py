"""Is EC2 shaping this instance now? Pure.

EC2 user guide, monitoring-network-performance-ena.md: bandwidth and packet allowances queue or drop; a full connection table drops, and
new connections fail.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from collectors.model import Level, Verdict
from collectors.nic.readers.counters import GRAVE, increase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.nic.reading import Nic, Sample

NOW_SECONDS = 60.0  # "now" is the last minute: shaping comes in bursts, a verdict should not blink with them
LOW_CONNECTIONS = 2000  # tracked connections left; a small instance has about 50,000
_MEANING = {
    "bw_in": "inbound bandwidth",
    "bw_out": "outbound bandwidth",
    "pps": "packets per second",
    "conntrack": "connection tracking",
    "linklocal": "DNS, IMDS and time-sync packets",
}
_REMEDIATIONS = {
    "bw_in": "spread the load, or take an instance type with more network bandwidth",
    "bw_out": "spread the load, or take an instance type with more network bandwidth",
    "pps": "send larger packets, spread the load, or take a larger instance type",
    "conntrack": "close idle connections sooner, use security-group rules that need no tracking, or take a larger instance type",
    "linklocal": "cache DNS answers on the host (systemd-resolved, dnsmasq), ask IMDS less often",
}


def shaped(name: str, samples: tuple[Sample, ...]) -> tuple[dict[str, int], float]:
    """Say which allowances were exceeded how often within the last minute, and over how many seconds that was looked at.

    The first look is a baseline: what was counted before vitald started is no news.
    """
    return _grown(name, samples, "allowances")


def reset(name: str, samples: tuple[Sample, ...], within: float = NOW_SECONDS) -> dict[str, int]:
    """Say for which reasons the driver reset itself within the last seconds."""
    return _grown(name, samples, "resets", within)[0]


def _grown(name: str, samples: tuple[Sample, ...], table: str, within: float = NOW_SECONDS) -> tuple[dict[str, int], float]:
    recent = [sample for sample in samples if samples[-1].at - sample.at <= within and name in sample.counters]
    total: dict[str, int] = {}
    for before, after in itertools.pairwise(recent):
        was: Mapping[str, int] = getattr(before.counters[name], table)
        for what, grown in increase(was, getattr(after.counters[name], table)).items():
            total[what] = total.get(what, 0) + grown
    return total, recent[-1].at - recent[0].at if recent else 0.0


def allowance_verdict(nic: Nic, samples: tuple[Sample, ...]) -> Verdict | None:
    """Judge one interface; None where the driver knows no allowances and need not."""
    counters, name = nic.counters, nic.link.name
    if not counters.allowances and not counters.missing:
        return None
    grown, seconds = shaped(name, samples)
    facts = {"exceeded": dict(counters.allowances), "within_seconds": round(seconds), "available": counters.available}
    evidence: dict[str, Any] = {key: value for key, value in facts.items() if value not in ({}, None)}
    if grown:
        worst = "conntrack" if "conntrack" in grown else max(grown, key=lambda what: grown[what])
        said = ", ".join(
            f"{_MEANING[what]} exceeded by {count} packets ({count / max(seconds, 1.0):.0f}/s)" for what, count in grown.items()
        )
        level = Level.CRITICAL if "conntrack" in grown else Level.WARNING
        return Verdict(
            "nic_allowance", name, level, f"EC2 is shaping this instance now: {said}", evidence | {"grown": grown}, _REMEDIATIONS[worst]
        )
    left = counters.available
    if left is not None and left < LOW_CONNECTIONS:
        level = Level.CRITICAL if left == 0 else Level.WARNING
        return Verdict(
            "nic_allowance",
            name,
            level,
            f"{left} tracked connections left before new ones are dropped",
            evidence,
            _REMEDIATIONS["conntrack"],
        )
    if counters.missing:
        text = f"the driver does not count {', '.join(counters.missing)} allowances: shaping by EC2 cannot be seen"
        remediation = "update the ENA driver to 2.2.10 or newer (https://github.com/amzn/amzn-drivers), or the kernel"
        return Verdict("nic_allowance", name, Level.WARNING, text, evidence | {"missing": counters.missing}, remediation)
    return Verdict("nic_allowance", name, Level.HEALTHY, "", evidence)


def grave(resets: Mapping[str, int]) -> list[str]:
    """Pick the reset reasons that are never harmless."""
    return [reason for reason in resets if reason in GRAVE]

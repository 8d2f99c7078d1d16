"""Check `nic_allowance`: EC2 shapes this instance now, or is about to. Pure.

EC2 user guide, monitoring-network-performance-ena.md: beyond a bandwidth or packet allowance packets are queued or dropped; with a full
connection table new connections fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collectors.model import Level, Verdict
from collectors.nic.samples import allowance_increases

if TYPE_CHECKING:
    from collectors.nic.reading import Nic
    from collectors.nic.samples import Sample

LOW_CONNECTIONS = 2000  # tracked connections left; a small instance has about 50,000
_NAMES = {
    "bw_in": "inbound bandwidth",
    "bw_out": "outbound bandwidth",
    "pps": "packets per second",
    "conntrack": "connection tracking",
    "linklocal": "DNS, IMDS and time-sync packets",
}
_MORE_BANDWIDTH = "distribute the load, or use an instance type with more network bandwidth"
_REMEDIATIONS = {
    "bw_in": _MORE_BANDWIDTH,
    "bw_out": _MORE_BANDWIDTH,
    "pps": "send larger packets, distribute the load, or use a larger instance type",
    "conntrack": "close idle connections sooner, use security-group rules that need no tracking, or use a larger instance type",
    "linklocal": "cache DNS answers on the host (systemd-resolved, dnsmasq), query IMDS less often",
}
_UPDATE = "update the ENA driver to 2.2.10 or newer (https://github.com/amzn/amzn-drivers), or the kernel"


def allowance_verdict(nic: Nic, samples: tuple[Sample, ...]) -> Verdict | None:
    """Judge one interface; None where the driver counts no allowances and need not."""
    counters, name = nic.counters, nic.link.name
    if not counters.allowances and not counters.missing:
        return None
    exceeded, seconds = allowance_increases(name, samples)
    left = counters.conntrack_available
    facts = {"exceeded": dict(counters.allowances), "within_seconds": round(seconds), "available": left}
    evidence: dict[str, Any] = {key: value for key, value in facts.items() if value not in ({}, None)}
    if exceeded:
        worst = "conntrack" if "conntrack" in exceeded else max(exceeded, key=lambda allowance: exceeded[allowance])
        parts = [f"{_NAMES[key]} exceeded by {count} packets ({count / max(seconds, 1.0):.0f}/s)" for key, count in exceeded.items()]
        text = f"EC2 is shaping this instance now: {', '.join(parts)}"
        level = Level.CRITICAL if "conntrack" in exceeded else Level.WARNING
        return Verdict("nic_allowance", name, level, text, evidence | {"increase": exceeded}, _REMEDIATIONS[worst])
    if left is not None and left < LOW_CONNECTIONS:
        text = f"{left} tracked connections left before new ones are dropped"
        level = Level.CRITICAL if left == 0 else Level.WARNING
        return Verdict("nic_allowance", name, level, text, evidence, _REMEDIATIONS["conntrack"])
    if counters.missing:
        text = f"the driver does not count {', '.join(counters.missing)} allowances: shaping by EC2 cannot be detected"
        return Verdict("nic_allowance", name, Level.WARNING, text, evidence | {"missing": counters.missing}, _UPDATE)
    return Verdict("nic_allowance", name, Level.HEALTHY, "", evidence)

"""Known issues of EC2's drivers, as data, each with its reason and source. `[[nic.policy]]` takes precedence over all of them.

Sources: ENA best practices and release notes are ENA_Linux_Best_Practices.rst and RELEASENOTES.md of amzn/amzn-drivers; the EC2 user guide
is awsdocs/amazon-ec2-user-guide; ec2rl is awslabs/aws-ec2rescue-linux; Linux is the kernel's own source.
"""

from __future__ import annotations

from dataclasses import dataclass

from collectors.model import Level

_UPDATE_ENA = "update the kernel, or the ENA driver: https://github.com/amzn/amzn-drivers"
_UPDATE_IXGBEVF = "install the distribution's current kernel (Ubuntu: linux-aws), or build ixgbevf >= 2.16.4 with DKMS"


@dataclass(frozen=True, slots=True)
class MinimumVersion:
    """Lowest acceptable version of a driver, in its own numbering. HEALTHY: advice only, part of the evidence."""

    driver: str
    version: str
    level: Level
    reason: str
    source: str
    remediation: str


@dataclass(frozen=True, slots=True)
class MinimumKernel:
    """Release from which a distribution's kernels (`pattern` matches from the start) have a driver equivalent to `version`."""

    driver: str
    pattern: str
    release: str
    version: str
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class BadVersions:
    """Range of known bad versions, both ends included."""

    driver: str
    first: str
    last: str
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class OffloadRule:
    """Offload that should be on or off under a driver."""

    driver: str
    feature: str
    on: bool
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class VersionEvidence:
    """Counter that exists from a version on: stronger than the number that the driver states."""

    driver: str
    counter: str
    version: str
    source: str


_BEST, _NOTES = "ENA best practices", "ENA release notes"
_NITRO_4 = "no ENAv3 support: performance degradation on most Nitro v4 instances"

MINIMUM_VERSIONS = (
    MinimumVersion("ena", "1.2", Level.CRITICAL, "older ones cannot attach an ENAv3 interface", _BEST, _UPDATE_ENA),
    MinimumVersion("ena", "2.2.9", Level.WARNING, _NITRO_4, _BEST, _UPDATE_ENA),
    MinimumVersion(
        "ena", "2.2.10", Level.HEALTHY, "no *_allowance_exceeded counters: shaping by EC2 cannot be detected", "EC2 user guide", _UPDATE_ENA
    ),
    MinimumVersion("ena", "2.8.1", Level.HEALTHY, "no conntrack_allowance_available counter", _NOTES, _UPDATE_ENA),
    MinimumVersion(
        "ena", "2.9.0", Level.HEALTHY, "without large LLQ, Nitro v4 drops packets whose headers exceed 96 bytes", _BEST, _UPDATE_ENA
    ),
    MinimumVersion("ena", "2.12.0", Level.HEALTHY, "TX packets can get stuck when the last one of a burst is dropped", _NOTES, _UPDATE_ENA),
    MinimumVersion("ena", "2.13.0", Level.HEALTHY, "wrong memory handling of customer metrics", "amzn-drivers#315", _UPDATE_ENA),
    # In-tree builds had the fixes without a new number: a warning at most.
    MinimumVersion(
        "ixgbevf", "2.14.2", Level.WARNING, "packet loss, link flapping and gray failures", "ec2rl ixgbevfversion.md", _UPDATE_IXGBEVF
    ),
)

MINIMUM_KERNELS = (  # where ENA is in-tree and states no version: the distribution's kernel with 2.2.9, by ENA best practices
    MinimumKernel("ena", r"4\.14\..*\.amzn[12]\.", "4.14.186", "2.2.9", _NITRO_4, _BEST),
    MinimumKernel("ena", r"4\.18\.0-.*\.el8", "4.18.0-240.1.1", "2.2.9", _NITRO_4, _BEST),
    MinimumKernel("ena", r"5\.4\.0-.*-aws", "5.4.0-1025", "2.2.9", _NITRO_4, _BEST),
    MinimumKernel("ena", r"4\.12\.14-95\..*-default", "4.12.14-95.99", "2.2.9", _NITRO_4, _BEST),  # SLES 12 SP4
    MinimumKernel("ena", r"4\.12\.14-122\..*-default", "4.12.14-122.116", "2.2.9", _NITRO_4, _BEST),  # SLES 12 SP5
    MinimumKernel("ena", r"5\.3\.18-24\..*-default", "5.3.18-24.15", "2.2.9", _NITRO_4, _BEST),  # SLES 15 SP2
)

BAD_VERSIONS = (
    BadVersions("ena", "2.8.4", "2.8.4", "napi_consume_skb/napi_build_skb, reverted in the next release", _NOTES),
    BadVersions("ena", "2.8.6", "2.8.6", "keep-alive reset loop (wd_expired in the thousands)", "amzn-drivers#285"),
    BadVersions("ena", "2.11.0", "2.11.1", "TX completions missing, device resets", "amazon-eks-ami#1704"),
    BadVersions("ena", "2.17.0", "2.17.0", "NULL dereference panic when an interface is detached", "amzn-drivers#379, #380"),
)

_LEFT_OVER = "left over from the workaround for xen_netfront's `skb rides the rocket`: here it only costs throughput"
OFFLOAD_RULES = tuple(  # ENA has sg always, but tso only on some instance types (Linux ena_netdev.c): `off [fixed]` is no drift
    OffloadRule(driver, feature, on=True, reason=_LEFT_OVER, source="ec2rl xennetrocket.md")
    for driver, feature in (("ena", "sg"), ("ena", "gso"), ("ixgbevf", "sg"), ("ixgbevf", "tso"), ("ixgbevf", "gso"))
)

VERSION_EVIDENCE = (
    VersionEvidence("ena", "bw_in_allowance_exceeded", "2.2.10", "EC2 user guide monitoring-network-performance-ena.md"),
    VersionEvidence("ena", "conntrack_allowance_available", "2.8.1", _NOTES),
    VersionEvidence("ena", "missing_tx_cmpl", "2.10.0", f"{_NOTES}: Improve reset reason statistics"),
)

# ethtool's driver names that are not modprobe's: xen_netfront reports `vif` (Linux xen-netfront.c).
MODULES = {"vif": "xen_netfront"}
ENHANCED = frozenset({"ena", "ixgbevf"})  # EC2's enhanced networking
XEN = frozenset({"vif", "xen_netfront"})

# From about 3.17 on xen_netfront linearises packets with too many fragments instead of dropping them (xen-netfront.c, xennet_start_xmit),
# and lowers the MTU to 1500 when sg is switched off (xen-netfront.c: "Reducing MTU because no SG offload").
XEN_LINEARISES = (3, 17)
XEN_CONFLICT = (
    "sg on: packets with many fragments are dropped (xennet: skb rides the rocket); sg off with an MTU below 9001: packets are lost; "
    "the fix of either causes the other (ec2rl xennetrocket.md, xennetsgmtu.md)"
)
JUMBO_MTU = 9001  # EC2 user guide, network_mtu.md

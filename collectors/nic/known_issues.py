"""What is known of EC2's drivers, as data: each line with its reason and its source. `[[nic.policy]]` comes before all of it.

Sources: ENA best practices and release notes are ENA_Linux_Best_Practices.rst and RELEASENOTES.md of amzn/amzn-drivers; the EC2 user guide
is awsdocs/amazon-ec2-user-guide; ec2rl is awslabs/aws-ec2rescue-linux; Linux is the kernel's own source.
"""

from __future__ import annotations

from dataclasses import dataclass

from collectors.model import Level

ENA_MEND = "update the kernel, or the ENA driver: https://github.com/amzn/amzn-drivers"
IXGBEVF_MEND = "install the distribution's current kernel (Ubuntu: linux-aws), or build ixgbevf >= 2.16.4 with DKMS"


@dataclass(frozen=True, slots=True)
class Floor:
    """The lowest version of a driver's own numbering that is good enough. HEALTHY: only advice, told as evidence."""

    driver: str
    version: str
    level: Level
    reason: str
    source: str
    remediation: str


@dataclass(frozen=True, slots=True)
class KernelFloor:
    """The release from which a distribution's kernels (`pattern` matches theirs from the start) bring a driver as good as `version`."""

    driver: str
    pattern: str
    release: str
    version: str
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class Bad:
    """A range of versions, both ends included, that is known to do harm."""

    driver: str
    first: str
    last: str
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class Wish:
    """An offload that should be on or off under a driver."""

    driver: str
    feature: str
    on: bool
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class Proof:
    """A counter that exists from a version on: it beats whatever number the driver states."""

    driver: str
    counter: str
    version: str
    source: str


_BEST, _NOTES = "ENA best practices", "ENA release notes"
_NITRO_4 = "no ENAv3 support: performance degradation on most Nitro v4 instances"

FLOORS = (
    Floor("ena", "1.2", Level.CRITICAL, "older ones cannot attach an ENAv3 interface", _BEST, ENA_MEND),
    Floor("ena", "2.2.9", Level.WARNING, _NITRO_4, _BEST, ENA_MEND),
    Floor("ena", "2.2.10", Level.HEALTHY, "no *_allowance_exceeded counters: shaping by EC2 cannot be seen", "EC2 user guide", ENA_MEND),
    Floor("ena", "2.8.1", Level.HEALTHY, "no conntrack_allowance_available counter", _NOTES, ENA_MEND),
    Floor("ena", "2.9.0", Level.HEALTHY, "without large LLQ, Nitro v4 drops packets whose headers exceed 96 bytes", _BEST, ENA_MEND),
    Floor("ena", "2.12.0", Level.HEALTHY, "TX packets can get stuck when the last one of a burst is dropped", _NOTES, ENA_MEND),
    Floor("ena", "2.13.0", Level.HEALTHY, "wrong memory handling of customer metrics", "amzn-drivers#315", ENA_MEND),
    # In-tree builds had the fixes without raising the number: a warning, never more.
    Floor("ixgbevf", "2.14.2", Level.WARNING, "packet loss, link flapping and gray failures", "ec2rl ixgbevfversion.md", IXGBEVF_MEND),
)

KERNEL_FLOORS = (  # where ENA is the kernel's own and has no number: the distribution's kernel that brought 2.2.9, by ENA best practices
    KernelFloor("ena", r"4\.14\..*\.amzn[12]\.", "4.14.186", "2.2.9", _NITRO_4, _BEST),
    KernelFloor("ena", r"4\.18\.0-.*\.el8", "4.18.0-240.1.1", "2.2.9", _NITRO_4, _BEST),
    KernelFloor("ena", r"5\.4\.0-.*-aws", "5.4.0-1025", "2.2.9", _NITRO_4, _BEST),
    KernelFloor("ena", r"4\.12\.14-95\..*-default", "4.12.14-95.99", "2.2.9", _NITRO_4, _BEST),  # SLES 12 SP4
    KernelFloor("ena", r"4\.12\.14-122\..*-default", "4.12.14-122.116", "2.2.9", _NITRO_4, _BEST),  # SLES 12 SP5
    KernelFloor("ena", r"5\.3\.18-24\..*-default", "5.3.18-24.15", "2.2.9", _NITRO_4, _BEST),  # SLES 15 SP2
)

BAD = (
    Bad("ena", "2.8.4", "2.8.4", "napi_consume_skb/napi_build_skb, taken back in the next release", _NOTES),
    Bad("ena", "2.8.6", "2.8.6", "keep-alive reset loop (wd_expired in the thousands)", "amzn-drivers#285"),
    Bad("ena", "2.11.0", "2.11.1", "TX completions missing, device resets", "amazon-eks-ami#1704"),
    Bad("ena", "2.17.0", "2.17.0", "NULL dereference panic when an interface is detached", "amzn-drivers#379, #380"),
)

_LEFT_OVER = "left over from the xen_netfront rocket workaround: here it only costs throughput"
WISHES = (  # ENA offers sg always, but tso only to some instance types (Linux ena_netdev.c): `off [fixed]` is no drift
    Wish("ena", "sg", on=True, reason=_LEFT_OVER, source="ec2rl xennetrocket.md"),
    Wish("ena", "gso", on=True, reason=_LEFT_OVER, source="ec2rl xennetrocket.md"),
    Wish("ixgbevf", "sg", on=True, reason=_LEFT_OVER, source="ec2rl xennetrocket.md"),
    Wish("ixgbevf", "tso", on=True, reason=_LEFT_OVER, source="ec2rl xennetrocket.md"),
    Wish("ixgbevf", "gso", on=True, reason=_LEFT_OVER, source="ec2rl xennetrocket.md"),
)

PROOFS = (
    Proof("ena", "bw_in_allowance_exceeded", "2.2.10", "EC2 user guide monitoring-network-performance-ena.md"),
    Proof("ena", "conntrack_allowance_available", "2.8.1", _NOTES),
    Proof("ena", "missing_tx_cmpl", "2.10.0", f"{_NOTES}: Improve reset reason statistics"),
)

# ethtool's names for what modprobe calls otherwise: xen_netfront says `vif` (docs; Linux xen-netfront.c).
MODULES = {"vif": "xen_netfront"}
ENHANCED = frozenset({"ena", "ixgbevf"})  # EC2's enhanced networking
XEN = frozenset({"vif", "xen_netfront"})

# From about 3.17 on xen_netfront linearises what has too many fragments instead of dropping it (xen-netfront.c, xennet_start_xmit),
# and lowers the MTU to 1500 when sg is switched off (xen-netfront.c: "Reducing MTU because no SG offload").
XEN_LINEARISES = (3, 17)
XEN_ROCKET = (
    "sg on: packets of many fragments are dropped (xennet: skb rides the rocket); sg off with an MTU below 9001: packets are lost; "
    "each cures the other's fault (ec2rl xennetrocket.md, xennetsgmtu.md)"
)
JUMBO = 9001  # docs network_mtu.md

"""ENA's statistics, and other drivers', under few names of our own. Pure.

Amazon's driver, upstream's and older ones spell and offer different sets; what is listed here is what a verdict or a metric needs.
Counters run since the driver's last reset (before ENA 2.16) or since it was loaded: each may start again at any time.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ALLOWANCES = {  # our word → the names drivers have for it; EC2 user guide, monitoring-network-performance-ena.md
    "bw_in": ("bw_in_allowance_exceeded",),
    "bw_out": ("bw_out_allowance_exceeded",),
    "pps": ("pps_allowance_exceeded",),
    "conntrack": ("conntrack_allowance_exceeded",),
    "linklocal": ("linklocal_allowance_exceeded",),
}
AVAILABLE = ("conntrack_allowance_available",)  # a gauge, ENA 2.8.1
RESETS = {  # reason → its names; EC2 user guide, troubleshooting-ena.md; amzn-drivers ena_ethtool.c; ixgbevf and virtio_net ethtool.c
    "tx_timeout": ("tx_timeout", "tx_timeout_count"),
    "keep_alive": ("wd_expired",),
    "admin_queue_pause": ("admin_q_pause",),
    "failed": ("reset_fail",),
    "missing_tx_completion": ("missing_tx_cmpl",),
    "missing_interrupt": ("missing_intr",),
    "netdev_watchdog": ("os_netdev_wd",),
    "admin_timeout": ("admin_to",),
    "device_request": ("device_request_reset",),
    "bad_tx_req_id": ("bad_tx_req_id",),
    "bad_rx_req_id": ("bad_rx_req_id",),
    "bad_rx_descriptors": ("bad_rx_desc_num",),
    "rx_descriptor_malformed": ("rx_desc_malformed",),
    "tx_descriptor_malformed": ("tx_desc_malformed",),
    "invalid_state": ("invalid_state",),
    "missing_admin_interrupt": ("missing_admin_interrupt",),
    "poll_starvation": ("suspected_poll_starvation",),
    "suspend": ("suspend",),
}
PROOFS = ("bw_in_allowance_exceeded", "conntrack_allowance_available", "missing_tx_cmpl")  # counters whose presence says a version
KNOWN = frozenset({*AVAILABLE, *PROOFS, *itertools.chain(*ALLOWANCES.values(), *RESETS.values())})  # all names that are read
GRAVE = frozenset({"tx_timeout", "keep_alive", "admin_queue_pause", "failed", "netdev_watchdog"})  # critical on any increase
TALKATIVE = frozenset({"ena", "ixgbevf"})  # drivers whose statistics we know; of others none are read


@dataclass(frozen=True, slots=True)
class Counters:
    """What of a driver's statistics has a name of ours. `missing` are the allowances that this driver should count and does not."""

    allowances: Mapping[str, int] = field(default_factory=dict)
    available: int | None = None
    resets: Mapping[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()


SILENT = Counters()


def understand(driver: str, statistics: Mapping[str, int], tx_timeouts: int) -> Counters:
    """Sort a driver's statistics; `tx_timeouts` is what the queues' own files in sysfs say, for a driver that does not count them."""
    allowances = {word: value for word, names in ALLOWANCES.items() if (value := _first(statistics, names)) is not None}
    resets = {reason: value for reason, names in RESETS.items() if (value := _first(statistics, names)) is not None}
    resets["tx_timeout"] = max(resets.get("tx_timeout", 0), tx_timeouts)
    missing = tuple(word for word in ALLOWANCES if word not in allowances) if driver == "ena" else ()
    return Counters(allowances, _first(statistics, AVAILABLE), resets, missing, frozenset(name for name in PROOFS if name in statistics))


def increase(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """Say what grew between two looks. A counter that fell has started again, and what it shows now has all come since.

    A counter that was not there before is a baseline, not an increase.
    """
    grown = {name: value - before[name] if value >= before[name] else value for name, value in now.items() if name in before}
    return {name: value for name, value in grown.items() if value > 0}


def _first(statistics: Mapping[str, int], names: tuple[str, ...]) -> int | None:
    return next((statistics[name] for name in names if name in statistics), None)

"""Drivers' statistics under vitald's names. Pure.

Amazon's ENA driver, the in-tree one and older ones have different names and sets; listed here is what a verdict or a metric needs.
Counters run since the driver's last reset (before ENA 2.16) or since it was loaded: each may restart at any time.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# allowance → its name in drivers; EC2 user guide, monitoring-network-performance-ena.md
ALLOWANCES = {name: (f"{name}_allowance_exceeded",) for name in ("bw_in", "bw_out", "pps", "conntrack", "linklocal")}
CONNTRACK_AVAILABLE = ("conntrack_allowance_available",)  # a gauge, ENA 2.8.1
RESETS = {  # reason → its names; EC2 user guide, troubleshooting-ena.md; amzn-drivers ena_ethtool.c; ixgbevf ethtool.c
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
VERSION_COUNTERS = ("bw_in_allowance_exceeded", "conntrack_allowance_available", "missing_tx_cmpl")  # present from a driver version on
COUNTERS_READ = frozenset({*CONNTRACK_AVAILABLE, *VERSION_COUNTERS, *itertools.chain(*ALLOWANCES.values(), *RESETS.values())})
CRITICAL_RESETS = frozenset({"tx_timeout", "keep_alive", "admin_queue_pause", "failed", "netdev_watchdog"})  # critical on any increase
STATS_DRIVERS = frozenset({"ena", "ixgbevf"})  # drivers whose statistics are read


@dataclass(frozen=True, slots=True)
class DriverCounters:
    """A driver's statistics by vitald's names. `missing` are the allowances that this driver should count and does not.

    `conntrack_available` is the number of connections that EC2 would still track; `version_counters` are those present.
    """

    allowances: Mapping[str, int] = field(default_factory=dict)
    conntrack_available: int | None = None
    resets: Mapping[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    version_counters: frozenset[str] = frozenset()


NO_COUNTERS = DriverCounters()


def driver_counters(driver: str, statistics: Mapping[str, int], tx_timeouts: int) -> DriverCounters:
    """Map a driver's statistics to vitald's names; `tx_timeouts` is from the queues' sysfs files, for a driver that does not count them."""
    allowances = {allowance: value for allowance, names in ALLOWANCES.items() if (value := _first(statistics, names)) is not None}
    resets = {reason: value for reason, names in RESETS.items() if (value := _first(statistics, names)) is not None}
    resets["tx_timeout"] = max(resets.get("tx_timeout", 0), tx_timeouts)
    missing = tuple(allowance for allowance in ALLOWANCES if allowance not in allowances) if driver == "ena" else ()
    present = frozenset(name for name in VERSION_COUNTERS if name in statistics)
    return DriverCounters(allowances, _first(statistics, CONNTRACK_AVAILABLE), resets, missing, present)


def increase(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """Return the counters that increased, and by how much. A counter that fell was reset: its whole value has been counted since.

    A counter that was not there before is a baseline, not an increase.
    """
    growth = {name: value - before[name] if value >= before[name] else value for name, value in now.items() if name in before}
    return {name: value for name, value in growth.items() if value > 0}


def _first(statistics: Mapping[str, int], names: tuple[str, ...]) -> int | None:
    return next((statistics[name] for name in names if name in statistics), None)

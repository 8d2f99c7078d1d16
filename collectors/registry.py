"""All collectors by name, which is also their section, flag and label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collectors.dhcp.collector import DhcpCollector
from collectors.host.collector import HostInfo
from collectors.logs.collector import LogsCollector
from collectors.memory.collector import KernelMemory
from collectors.nic.collector import NicCollector
from collectors.path_mtu.collector import PathMtu
from collectors.probe.collector import Probe

if TYPE_CHECKING:
    from collectors.collector import Collector

_ALL: tuple[type[Collector[Any]], ...] = (HostInfo, Probe, PathMtu, NicCollector, DhcpCollector, LogsCollector, KernelMemory)

COLLECTORS: dict[str, type[Collector[Any]]] = {collector.name: collector for collector in _ALL}

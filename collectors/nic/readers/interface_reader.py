"""One interface, joined from sysfs and ethtool; and its details by pyroute2."""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING

from collectors.helper_process import HelperFailed
from collectors.netlink.link_details import LinkDetailsClient
from collectors.netlink.link_details_messages import LinkQuestion
from collectors.nic.readers.counters import COUNTERS_READ, NO_COUNTERS, STATS_DRIVERS, driver_counters
from collectors.nic.readers.ethtool import Ethtool
from collectors.nic.readers.recorded_ethtool import RecordedEthtool
from collectors.nic.readers.sysfs import interfaces, read_byte_counters, read_carrier_changes, read_link
from collectors.nic.reading import Nic
from collectors.nic.settings import requirements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from collectors.model import CollectorContext
    from collectors.netlink.link_details_messages import LinkDetails
    from collectors.nic.readers.counters import DriverCounters
    from collectors.nic.readers.ethtool import Driver
    from collectors.nic.readers.features import Feature
    from collectors.nic.readers.sysfs import ByteCounters, LinkState
    from collectors.nic.settings import Policy

log = logging.getLogger(__name__)

_SORT_ABOVE = 100  # interfaces; of fewer none is beyond the limit, and finding the devices takes time


class InterfaceReader:
    """Reader of single interfaces, of this kernel or of a recorded host."""

    def __init__(self, context: CollectorContext, policies: Sequence[Policy]) -> None:
        self._context, self._policies = context, policies
        self._ethtool: Ethtool | RecordedEthtool | None = None
        self._counters: dict[str, tuple[tuple[str, Mapping[str, int], int], DriverCounters]] = {}

    def interfaces(self) -> list[str]:
        """List the interfaces, those with a device first: a flood of others must not displace them."""
        found = interfaces(self._context.sys)
        if len(found) > _SORT_ABOVE:
            found.sort(key=lambda name: not (self._context.sys / "class/net" / name / "device").exists())
        return found

    def read(self, name: str, before: Nic | None) -> Nic | None:
        """Read one interface; the same object as before where nothing changed, None where it is gone."""
        if (link := read_link(self._context.sys, name, before.link if before is not None else None)) is None:
            return None
        try:
            driver, features, counters = self._read_driver(link, before)
        except OSError:
            return None
        driver_name = driver.name if driver else link.driver
        same_driver = before is not None and before.driver_name == driver_name
        required = before.required if before is not None and same_driver else requirements(self._policies, name, driver_name)
        nic = Nic(link, driver, features, counters, before.changes if before is not None else {}, required)
        return before if nic == before else nic

    def links(self) -> Iterator[LinkState]:
        """Read every interface's link."""
        for name in interfaces(self._context.sys):
            if (link := read_link(self._context.sys, name)) is not None:
                yield link

    def byte_counters(self, name: str) -> ByteCounters | None:
        """Read one interface's byte counters; None where it is gone."""
        return read_byte_counters(self._context.sys, name)

    def carrier_changes(self, name: str) -> int | None:
        """Read how often the carrier came or went; None where the interface is gone."""
        return read_carrier_changes(self._context.sys, name)

    def discard(self, name: str) -> None:
        """Drop what is cached of an interface."""
        self._counters.pop(name, None)
        if self._ethtool is not None:
            self._ethtool.discard(name)

    def close(self) -> None:
        """Close the socket."""
        if self._ethtool is not None:
            self._ethtool.close()

    def _read_driver(self, link: LinkState, before: Nic | None) -> tuple[Driver | None, Mapping[str, Feature], DriverCounters]:
        """Read driver, features and counters; what is not supported is left out. Raises OSError where the interface is gone."""
        try:
            if self._ethtool is None:
                self._ethtool = RecordedEthtool(self._context.root / "ethtool") if self._context.is_recorded else Ethtool()
            driver = self._ethtool.driver(link.name)
        except OSError as error:
            _raise_if_gone(error)
            return None, {}, self._sysfs_counters(link)
        try:
            features = self._ethtool.features(link.name)
        except OSError as error:
            _raise_if_gone(error)
            features = {}
        if driver.name not in STATS_DRIVERS:
            return driver, features, self._sysfs_counters(link)
        try:
            statistics = self._ethtool.statistics(link.name, driver, COUNTERS_READ)
        except OSError as error:
            _raise_if_gone(error)
            if error.errno == errno.EAGAIN:  # it is just resetting: its counters are read the next time
                return driver, features, before.counters if before is not None else NO_COUNTERS
            statistics = {}
        return driver, features, self._cached_counters(link, driver.name, statistics)

    def _sysfs_counters(self, link: LinkState) -> DriverCounters:
        """Return the counters of a driver whose statistics are not read: its queues' TX timeouts."""
        return self._cached_counters(link, link.driver, {}) if link.physical and link.driver != "ena" else NO_COUNTERS

    def _cached_counters(self, link: LinkState, driver: str, statistics: Mapping[str, int]) -> DriverCounters:
        """Map statistics to counters; the same object as before where they have not changed."""
        cached = self._counters.get(link.name)
        arguments = driver, statistics, link.tx_timeouts
        if cached is None or cached[0] != arguments:
            cached = self._counters[link.name] = arguments, driver_counters(*arguments)
        return cached[1]


class LinkDetailsReader:
    """Reader of queues, rings and alternative names, once and if `enabled`: it takes a helper process with pyroute2."""

    def __init__(self, *, enabled: bool) -> None:
        self._client = LinkDetailsClient() if enabled else None
        self._links: Mapping[str, LinkDetails] = {}

    def read(self, names: Iterable[str]) -> Mapping[str, LinkDetails]:
        """Return the details of these interfaces by name; empty where they cannot be read."""
        client, self._client = self._client, None
        if client is not None:
            try:
                self._links = client.ask(LinkQuestion(links=tuple(names))).links
            except HelperFailed as error:
                log.warning("queues and rings not read, not shown error=%s", error)
        return self._links


def _raise_if_gone(error: OSError) -> None:
    if error.errno == errno.ENODEV:
        raise error

"""Joins what sysfs and ethtool say of an interface."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from collectors.nic.readers.counters import KNOWN, SILENT, TALKATIVE, understand
from collectors.nic.readers.ethtool import Ethtool
from collectors.nic.readers.recorded_ethtool import RecordedEthtool
from collectors.nic.readers.sysfs import Link, Traffic, interfaces, read_carrier_changes, read_link, read_traffic
from collectors.nic.reading import Nic
from collectors.nic.settings import wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.model import CollectorContext
    from collectors.nic.readers.counters import Counters
    from collectors.nic.readers.ethtool import Driver
    from collectors.nic.readers.features import Feature
    from collectors.nic.settings import Policy


class Looker:
    """Looks at single interfaces. `live`: they are this kernel's; else what ethtool printed was recorded under the host's root."""

    def __init__(self, host: CollectorContext, policies: Sequence[Policy]) -> None:
        self._sys, self._policies = host.sys, policies
        self._recorded = host.root / "ethtool"
        self.live = not self._recorded.is_dir()
        self._ethtool: Ethtool | RecordedEthtool | None = None
        self._sorted: dict[str, tuple[tuple[str, Mapping[str, int], int], Counters]] = {}

    def interfaces(self) -> list[str]:
        """List the host's interfaces: those with a device behind them first, so that a flood of others does not push them out."""
        found = interfaces(self._sys)
        if len(found) > 100:  # noqa: PLR2004 — below that nothing is pushed out, and the question costs time
            found.sort(key=lambda name: not (self._sys / "class/net" / name / "device").exists())
        return found

    def look(self, name: str, before: Nic | None) -> Nic | None:
        """Look at one interface; the very object of before where nothing is different, None where it has gone."""
        link = read_link(self._sys, name, before.link if before is not None else None)
        if link is None:
            return None
        try:
            driver, features, counters = self._ask(link, before)
        except OSError:
            return None
        called = driver.name if driver else link.driver
        asked = before.wanted if before is not None and before.driver_name == called else wanted(self._policies, name, called)
        nic = Nic(link, driver, features, counters, before.changes if before is not None else {}, asked)
        return before if nic == before else nic

    def present(self) -> Iterator[Link]:
        """Read every interface's link."""
        for name in interfaces(self._sys):
            link = read_link(self._sys, name)
            if link is not None:
                yield link

    def traffic(self, name: str) -> Traffic | None:
        """Read one interface's byte counters."""
        return read_traffic(self._sys, name)

    def carrier_changes(self, name: str) -> int | None:
        """Read how often the carrier came or went; None where the interface has gone."""
        return read_carrier_changes(self._sys, name)

    def forget(self, name: str) -> None:
        """Drop what is remembered of an interface."""
        self._sorted.pop(name, None)
        if self._ethtool is not None:
            self._ethtool.forget(name)

    def close(self) -> None:
        """Let go of the socket."""
        if self._ethtool is not None:
            self._ethtool.close()

    def _ask(self, link: Link, before: Nic | None) -> tuple[Driver | None, Mapping[str, Feature], Counters]:
        """Ask the driver; whatever it cannot say is left out. OSError where the interface has gone meanwhile."""
        try:
            if self._ethtool is None:
                self._ethtool = Ethtool() if self.live else RecordedEthtool(self._recorded)
            driver = self._ethtool.driver(link.name)
        except OSError as error:
            _raise_if_gone(error)
            return None, {}, self._silent(link)
        try:
            features = self._ethtool.features(link.name)
        except OSError as error:
            _raise_if_gone(error)
            features = {}
        if driver.name not in TALKATIVE:
            return driver, features, self._silent(link)
        try:
            counted = self._ethtool.statistics(link.name, driver, KNOWN)
        except OSError as error:
            _raise_if_gone(error)
            if error.errno == errno.EAGAIN:  # it is just resetting: what it counts is seen at the next look
                return driver, features, before.counters if before is not None else SILENT
            counted = {}
        return driver, features, self._counters(link, driver.name, counted)

    def _silent(self, link: Link) -> Counters:
        """Give what can be said of a driver whose statistics we do not read: its queues' timeouts."""
        return self._counters(link, link.driver, {}) if link.physical and link.driver != "ena" else SILENT

    def _counters(self, link: Link, driver: str, counted: Mapping[str, int]) -> Counters:
        """Sort statistics; those that have not moved since the last look are sorted already."""
        known = self._sorted.get(link.name)
        asked = driver, counted, link.tx_timeouts
        if known is None or known[0] != asked:
            known = self._sorted[link.name] = asked, understand(*asked)
        return known[1]


def _raise_if_gone(error: OSError) -> None:
    if error.errno == errno.ENODEV:
        raise error

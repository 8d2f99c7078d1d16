"""Who this host is. The other metrics carry no identity: PromQL joins it on from here, or the scrape's own labels do.

Labels that are not known are empty, and an empty label is to Prometheus an absent one.
"""

from __future__ import annotations

import logging
import time
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from collectors.collector import Collector
from collectors.host.dmi import Platform, read_platform
from collectors.host.identity import Identity, read_identity
from collectors.host.imds import Endpoint, Imds, ImdsError, Instance
from collectors.model import CollectorContext, Family, Kind, Metric, Verdict
from collectors.settings import Duration, Settings, refuse_unless

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

log = logging.getLogger(__name__)

_DEFAULT = Endpoint("169.254.169.254", 80)
_PATIENCE = 16 * 60.0  # seconds between two questions to a service that never answers

HOST = Family(
    "host",
    Kind.INFO,
    "Who this host is; the EC2 labels are empty where the host is none or its metadata service is silent.",
    labels=("hostname", "kernel", "boot_id", "instance_id", "instance_type", "availability_zone", "ami_id"),
)


class HostSettings(Settings, frozen=True):
    """`imds_url`: `auto` asks 169.254.169.254 only where the firmware says Amazon EC2, `off` asks nobody, a URL is asked anywhere."""

    interval: Duration = Duration(60.0)
    imds_url: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.imds_url not in {"auto", "off"}:
            try:
                Endpoint.parse(self.imds_url)
            except ValueError as error:
                refuse_unless(False, f'imds_url: {error}, or "auto" or "off"')  # noqa: FBT003 — the one way settings are refused


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look at the host saw."""

    identity: Identity
    instance: Instance


class HostInfo(Collector[Reading]):
    """The metadata service is asked until it has answered once: an instance cannot change its type, zone or image while it runs."""

    name: ClassVar[str] = "host"
    Settings: ClassVar[type[Settings]] = HostSettings

    def __init__(self, settings: HostSettings, host: CollectorContext) -> None:
        self._host = host
        self._url = settings.imds_url
        self._imds = Imds(_DEFAULT if self._url in {"auto", "off"} else Endpoint.parse(self._url))
        self._interval = float(settings.interval)
        self._instance: Instance | None = None
        self._complaint = ""
        self._pause = 0.0
        self._due = time.monotonic()

    def read(self) -> Reading:
        """Ask the kernel and the firmware each time, the metadata service while it is silent. Never raises."""
        platform = read_platform(self._host.sys)
        return Reading(read_identity(self._host.proc, self._host.root), self._ask(platform))

    @staticmethod
    def judge(_readings: Sequence[Reading], _settings: HostSettings) -> Iterator[Verdict]:
        """Say nothing: no identity is ill."""
        yield from ()

    @staticmethod
    def measure(reading: Reading, _settings: HostSettings) -> Iterator[Metric]:
        """Give the one info series."""
        yield Metric(HOST, 1.0, (*astuple(reading.identity), *astuple(reading.instance)))

    def close(self) -> None:
        """End a question that is still out."""
        self._imds.close()

    def _ask(self, platform: Platform) -> Instance:
        """Give what the metadata service said; until it has, what the board says."""
        wanted = self._url != "off" and (platform.ec2 or self._url != "auto")
        if self._instance is None and wanted and time.monotonic() >= self._due:
            try:
                self._instance = self._imds.fetch()
            except ImdsError as error:
                self._complain(str(error))
            else:
                log.info("%s says who this instance is", self._imds.endpoint)
        known = self._instance or Instance()
        return known if known.instance_id else replace(known, instance_id=platform.instance_id)

    def _complain(self, reason: str) -> None:
        """Log a reason once, and wait twice as long as the last time: a service that is switched off stays off for months."""
        self._pause = min(max(self._interval, self._pause * 2), max(_PATIENCE, self._interval))
        self._due = time.monotonic() + self._pause - self._interval / 2  # half a turn of grace, or a jittered run would just miss it
        if reason != self._complaint:
            self._complaint = reason
            log.warning("%s does not say who this instance is, its labels are left empty: %s", self._imds.endpoint, reason)

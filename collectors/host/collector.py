"""Host identity collector. The other metrics have no identity labels: PromQL joins them from here, or the scrape config adds them.

Unknown labels are empty, and to Prometheus an empty label is absent.
"""

from __future__ import annotations

import logging
import time
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from collectors.collector import Collector
from collectors.host.dmi import Platform, read_platform
from collectors.host.identity import HostIdentity, read_identity
from collectors.host.imds import ImdsClient, ImdsEndpoint, ImdsError, InstanceIdentity
from collectors.model import CollectorContext, Family, Kind, Metric, Verdict
from collectors.settings import Duration, Settings, refuse_unless

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

log = logging.getLogger(__name__)

_DEFAULT = ImdsEndpoint("169.254.169.254", 80)
_MAX_BACKOFF = 16 * 60.0  # seconds between two requests to a service that never answers

HOST = Family(
    "host",
    Kind.INFO,
    "Identity of this host, always 1; the EC2 labels are empty elsewhere and without an answer of the metadata service.",
    labels=("hostname", "kernel", "boot_id", "instance_id", "instance_type", "availability_zone", "ami_id"),
)


class HostSettings(Settings, frozen=True):
    """`imds_url`: `auto` queries 169.254.169.254 only where the firmware is Amazon EC2's, `off` nothing, a URL is queried anywhere."""

    interval: Duration = Duration(60.0)
    imds_url: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.imds_url not in {"auto", "off"}:
            try:
                ImdsEndpoint.parse(self.imds_url)
            except ValueError as error:
                refuse_unless(False, f'imds_url: {error}, or "auto" or "off"')  # noqa: FBT003 — the one way settings are refused


@dataclass(frozen=True, slots=True)
class HostReading:
    """Identity of the host and of its EC2 instance."""

    identity: HostIdentity
    instance: InstanceIdentity


class HostInfo(Collector[HostReading]):
    """Queries the metadata service until it has answered once: type, zone and image of a running instance cannot change."""

    name: ClassVar[str] = "host"
    Settings: ClassVar[type[Settings]] = HostSettings

    def __init__(self, settings: HostSettings, context: CollectorContext) -> None:
        self._context = context
        self._url = settings.imds_url
        self._imds = ImdsClient(_DEFAULT if self._url in {"auto", "off"} else ImdsEndpoint.parse(self._url))
        self._interval = float(settings.interval)
        self._instance: InstanceIdentity | None = None
        self._logged_error = ""
        self._backoff = 0.0
        self._due = time.monotonic()

    def read(self) -> HostReading:
        """Read kernel and firmware each time, the metadata service until it has answered. Never raises."""
        platform, context = read_platform(self._context.sys), self._context
        identity = read_identity(context.proc, context.root, is_recorded=context.is_recorded)
        return HostReading(identity, self._read_instance(platform))

    @staticmethod
    def judge(_readings: Sequence[HostReading], _settings: HostSettings) -> Iterator[Verdict]:
        """Return no verdict: an identity has no faults."""
        yield from ()

    @staticmethod
    def measure(reading: HostReading, _settings: HostSettings) -> Iterator[Metric]:
        """Return the one info series."""
        yield Metric(HOST, 1.0, (*astuple(reading.identity), *astuple(reading.instance)))

    def close(self) -> None:
        """Abort a request in progress."""
        self._imds.close()

    def _read_instance(self, platform: Platform) -> InstanceIdentity:
        """Return the answer of the metadata service, which is this host's; without one, the instance id of the board."""
        wanted = not self._context.is_recorded and self._url != "off" and (platform.is_ec2 or self._url != "auto")
        if self._instance is None and wanted and time.monotonic() >= self._due:
            try:
                self._instance = self._imds.fetch()
            except ImdsError as error:
                self._fail(str(error))
            else:
                log.info("instance identity read endpoint=%s", self._imds.endpoint)
        known = self._instance or InstanceIdentity()
        return known if known.instance_id else replace(known, instance_id=platform.instance_id)

    def _fail(self, error: str) -> None:
        """Log an error once, and double the backoff: a service that is switched off stays off for months."""
        self._backoff = min(max(self._interval, self._backoff * 2), max(_MAX_BACKOFF, self._interval))
        self._due = time.monotonic() + self._backoff - self._interval / 2  # half an interval early, or a jittered run would just miss it
        if error != self._logged_error:
            self._logged_error = error
            log.warning("instance metadata not available, its labels are left empty endpoint=%s error=%s", self._imds.endpoint, error)

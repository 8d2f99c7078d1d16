"""Path MTU collector: the largest packet that reaches each probe target, and path-MTU black holes.

It runs at its interval, and at once for a target whose probes turn bad: the runner hands it that target (`receive`).
"""

from __future__ import annotations

import errno
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from collectors.collector import Collector
from collectors.model import Family, Kind, Metric, Unavailable
from collectors.netlink.route import route, zoned
from collectors.packets import capability
from collectors.packets.client import PacketClient
from collectors.packets.protocol import Endpoint
from collectors.path_mtu.judge import judge_path
from collectors.path_mtu.search import PathMtuResult, search
from collectors.settings import Duration, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.model import CollectorContext, Inputs, Verdict
    from collectors.packets.protocol import ProbeScript
    from collectors.probe import ProbeReading, SocketAddress

MAX_SECONDS = 120.0  # of a round; a target takes a second, a black hole about ten, and 64 are searched at once
EARLY = 0.9  # of the interval since the last full round: a run before that was started by alarms
MAX_ALARMS = 16  # targets at once: an outage of hundreds needs no more samples
ALARM_GAP_SECONDS = 60.0  # between two alarms of one target

log = logging.getLogger(__name__)

_NO_TARGET = "there is no path to measure: [probe] has no target beyond this host"

PATH_MTU = Family("probe_path_mtu_bytes", Kind.GAUGE, "Largest IP packet, a padded SYN with DF, that the target answered.", ("target",))


class PathMtuSettings(Settings, frozen=True, kw_only=True):
    """`[path_mtu]` in vitald.toml."""

    interval: Duration = Duration(300.0)


@dataclass(frozen=True)
class PathMtuReading:
    """The newest result of each target; targets on this very host are left out."""

    results: Mapping[str, PathMtuResult]


class PathMtu(Collector[PathMtuReading]):
    """Searches the path MTU to every target of `[probe]`, and at once to one whose probes turn bad."""

    name = "path_mtu"
    checks = ("path_mtu",)
    Settings: ClassVar[type[Settings]] = PathMtuSettings
    inputs = ("probe",)

    def __init__(self, settings: PathMtuSettings, context: CollectorContext) -> None:
        self._interval = settings.interval
        self._context = context
        self._client = PacketClient()
        self._targets: Mapping[str, SocketAddress] = {}
        self._is_alarm = False
        self._alarms: list[str] = []
        self._last_alarm: dict[str, float] = {}  # monotonic, by target
        self._reading = PathMtuReading({})
        self._last_full_round = -settings.interval

    def receive(self, inputs: Inputs) -> None:
        """Store the newest targets, and the alarms of those whose probes turned bad."""
        now = time.monotonic()
        probe: ProbeReading | None = inputs.readings.get("probe")
        self._targets = probe.addresses if probe else {}
        self._last_alarm = {target: at for target, at in self._last_alarm.items() if now - at < ALARM_GAP_SECONDS}
        new = [target for target in inputs.newly_unhealthy if target in self._targets and target not in self._last_alarm]
        self._is_alarm, self._alarms = bool(inputs.newly_unhealthy), new[:MAX_ALARMS]
        self._last_alarm |= dict.fromkeys(self._alarms, now)

    def read(self) -> PathMtuReading:
        """Search all targets, or only those with an alarm. Unavailable on a recorded host."""
        if self._context.is_recorded:
            raise Unavailable("missing", "a recorded host cannot send packets")
        if not capability.is_available(self._context.proc):
            if not any(map(_is_remote, self._targets.values())):
                raise Unavailable("unconfigured", _NO_TARGET)
            raise Unavailable("permission", "crafted packets need CAP_NET_RAW, which this process does not have")
        now = time.monotonic()
        is_full = not self._is_alarm or now - self._last_full_round >= EARLY * self._interval
        due = self._targets if is_full else {target: self._targets[target] for target in self._alarms}
        if due or is_full:
            self._reading = PathMtuReading(self._search(due))
        if is_full:
            self._last_full_round = now
        if not self._reading.results:
            raise Unavailable("unconfigured", _NO_TARGET)
        return self._reading

    @staticmethod
    def judge(readings: Sequence[PathMtuReading], _settings: PathMtuSettings) -> Iterator[Verdict]:
        """Return one `path_mtu` verdict for each target."""
        for target, result in readings[-1].results.items():
            yield judge_path(target, result)

    @staticmethod
    def measure(reading: PathMtuReading, _settings: PathMtuSettings) -> Iterator[Metric]:
        """Return the path MTU of each target where it could be measured."""
        for target, result in reading.results.items():
            if result.mtu:
                yield Metric(PATH_MTU, result.mtu, (target,))

    def close(self) -> None:
        """End the round in progress."""
        self._client.stop()

    def _search(self, due: Mapping[str, SocketAddress]) -> dict[str, PathMtuResult]:
        """Return the results of all targets after a round over those that are due; the order is that of their searches."""
        results = {target: result for target, result in self._reading.results.items() if target in self._targets}
        scripts: dict[str, tuple[Endpoint, ProbeScript[PathMtuResult]]] = {}
        for target in [*(due.keys() - results.keys()), *(target for target in list(results) if target in due)]:
            try:
                endpoint = endpoint_of(due[target])
            except OSError as error:
                results[target] = PathMtuResult(answered=False, send_error=error.errno or errno.ENETUNREACH)
                continue
            if endpoint is None:
                results.pop(target, None)
            else:
                scripts[target] = (endpoint, search(endpoint))
        ended, failure = self._client.run(scripts, min(MAX_SECONDS, EARLY * self._interval))
        for target, result in ended.items():  # at the end: the next round begins with those that this one did not reach
            results.pop(target, None)
            results[target] = result
        if failure and not ended:
            raise RuntimeError(f"{failure}; none of {len(scripts)} path MTU searches had ended")
        if failure:
            log.warning("path MTU round failed, keeping the other results ended=%d of=%d error=%s", len(ended), len(scripts), failure)
        return results


def _is_remote(address: SocketAddress) -> bool:
    try:
        return endpoint_of(address) is not None
    except OSError:  # there is no route
        return True


def endpoint_of(address: SocketAddress) -> Endpoint | None:
    """Return the endpoint for packets to an address, None for one on this host; OSError without a route."""
    host = zoned(address.sockaddr)
    way = route(host)
    return None if way.local else Endpoint(way.source, host, address.sockaddr[1], way.mtu)

"""Path MTU: how large a frame reaches each target, and whether larger ones are lost without a word."""

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
from collectors.path_mtu import judge as path_verdict
from collectors.path_mtu.search import Found, search
from collectors.probe.diagnosis.target_events import ROSTER
from collectors.settings import Duration, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.model import CollectorContext, Verdict
    from collectors.packets.protocol import ProbeScript
    from collectors.probe.targets.target import Address

FIRST_SWEEP = 15.0  # seconds until the first sweep has said where the targets are
LONGEST_ROUND = 120.0  # seconds; a target takes a second, a black hole about ten, and 64 go at once
NEARLY = 0.9  # of the interval: what comes sooner was woken by an alarm

log = logging.getLogger(__name__)

PATH_MTU = Family("probe_path_mtu_bytes", Kind.GAUGE, "Largest IP packet, padded SYN with DF, that the target answered.", ("target",))


class PathMtuSettings(Settings, frozen=True, kw_only=True):
    """`[path_mtu]` in vitald.toml."""

    interval: Duration = Duration(300.0)


@dataclass(frozen=True)
class Reading:
    """What was found last on the way to each target; targets on this very host are left out."""

    found: Mapping[str, Found]


class PathMtu(Collector[Reading]):
    """Searches the path MTU to every target of `[probe]`, and at once to one whose probes turn bad."""

    name = "path_mtu"
    Settings: ClassVar[type[Settings]] = PathMtuSettings

    def __init__(self, settings: PathMtuSettings, host: CollectorContext) -> None:
        self._interval = settings.interval
        self._host = host
        self._child = PacketClient()
        self._found: dict[str, Found] = {}
        self._whole_round = -settings.interval

    def read(self) -> Reading:
        """Look at all targets, or only at those that have just turned bad."""
        alarms = ROSTER.take_alarms()
        if not capability.is_available(self._host.proc):
            raise Unavailable("permission", "crafted packets need CAP_NET_RAW, which this process does not have")
        targets = ROSTER.targets(FIRST_SWEEP) or {}
        now = time.monotonic()
        whole = not alarms or now - self._whole_round >= NEARLY * self._interval
        due = targets if whole else {target: targets[target] for target in alarms if target in targets}
        self._found = {target: found for target, found in self._found.items() if target in targets}
        plays: dict[str, tuple[Endpoint, ProbeScript[Found]]] = {}
        for target in [*(due.keys() - self._found.keys()), *(target for target in list(self._found) if target in due)]:
            self._plan(target, due[target], plays)
        results = self._child.run(plays, min(LONGEST_ROUND, NEARLY * self._interval))
        for target, found in results.found.items():  # at the end: the next round begins with those that this one did not get to
            self._found.pop(target, None)
            self._found[target] = found
        if results.failure:
            words = f"{results.failure}; {len(results.found)} of {len(plays)} path MTUs were found before"
            if not results.found:
                raise RuntimeError(words)
            log.warning("%s, the others stay as they were", words)
        if whole:
            self._whole_round = now
        if not self._found:
            raise Unavailable("unconfigured", "there is no path to measure: [probe] has no target beyond this host")
        return Reading(dict(self._found))

    @staticmethod
    def judge(readings: Sequence[Reading], _settings: PathMtuSettings) -> Iterator[Verdict]:
        """Give one `path_mtu` verdict for each target."""
        for target, found in readings[-1].found.items():
            yield path_verdict.judge(target, found)

    @staticmethod
    def measure(reading: Reading, _settings: PathMtuSettings) -> Iterator[Metric]:
        """Give the path MTU of each target where it could be measured."""
        for target, found in reading.found.items():
            if found.mtu:
                yield Metric(PATH_MTU, found.mtu, (target,))

    def wake_fds(self) -> tuple[int, ...]:
        """Wake when a target's probes have turned bad."""
        return (ROSTER.bell(),)

    def close(self) -> None:
        """End the round that is out."""
        self._child.stop()

    def _plan(self, target: str, address: Address, plays: dict[str, tuple[Endpoint, ProbeScript[Found]]]) -> None:
        try:
            place = place_of(address)
        except OSError as error:
            self._found[target] = Found(answered=False, local=error.errno or errno.ENETUNREACH)
            return
        if place is None:
            self._found.pop(target, None)
        else:
            plays[target] = (place, search(place))


def place_of(address: Address) -> Endpoint | None:
    """Say how packets to an address leave this host, None where they do not; OSError where there is no route."""
    host = zoned(address.sockaddr)
    way = route(host)
    return None if way.local else Endpoint(way.source, host, address.sockaddr[1], way.mtu)

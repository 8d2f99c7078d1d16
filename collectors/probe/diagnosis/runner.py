"""Diagnosis when a target turns bad: once for each change of its state, a few at a time, in a thread beside the sweep."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from collectors.helper_process import HelperFailed
from collectors.model import Unavailable
from collectors.netlink.link_details import LinkDetailsClient
from collectors.netlink.link_details_messages import LinkAnswer, LinkQuestion
from collectors.netlink.route import neighbour, route, zoned
from collectors.packets.client import PacketClient
from collectors.packets.protocol import Endpoint
from collectors.packets.traceroute import SynTrace, syn_trace
from collectors.probe.connect.outcome import LABELS, Outcome, Reason
from collectors.probe.connect.sweep import Sweeper
from collectors.probe.diagnosis.rules import Diagnosis, Facts, conclude

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from collectors.packets.protocol import ProbeScript
    from collectors.probe.target_stats import Record
    from collectors.probe.targets.target import Address

AT_ONCE = 8  # targets of one round; the others of a large outage wait for the next
REST = 10.0  # seconds from the end of one round to the next
QUIET = 60.0  # seconds between two diagnoses of one target: flapping makes no flood
LONGEST = 12.0  # seconds a round may take: 30 hops of 0.6 s are cut short
LAST = 20  # results

log = logging.getLogger(__name__)


class Diagnoser:
    """Watches for changes of state, and keeps the diagnosis of each bad target until it is well again."""

    def __init__(self, sys: Path, timeout: float) -> None:
        self._sys = sys
        self._timeout = timeout
        self._child = PacketClient()
        self._links = LinkDetailsClient()
        self._known: dict[str, Diagnosis] = {}
        self._states: dict[str, str] = {}
        self._due: dict[str, None] = {}
        self._done: dict[str, float] = {}  # monotonic: the last diagnosis of each target
        self._rested = 0.0
        self._shy: frozenset[str] = frozenset()
        self._thread: threading.Thread | None = None

    def known(self) -> Mapping[str, Diagnosis]:
        """Give what has been found out about the targets that are bad."""
        return dict(self._known)

    def consider(
        self, states: Mapping[str, str], records: Mapping[str, Record], places: Mapping[str, Address], shy: frozenset[str]
    ) -> None:
        """Take in how each bad target is (any word; the well ones are left out); starts a round where one has changed.

        A target that is `shy` gets no connect.
        """
        self._shy = shy
        for target in self._states.keys() - states.keys():
            self._known.pop(target, None)
            self._due.pop(target, None)
        for target, state in states.items():
            if self._states.get(target) != state:
                self._due[target] = None
        self._states = dict(states)
        now = time.monotonic()
        if not self._due or now < self._rested or (self._thread and self._thread.is_alive()):
            return
        chosen = [target for target in self._due if target in places and now - self._done.get(target, -QUIET) >= QUIET][:AT_ONCE]
        if chosen:
            facts = {target: _facts(target, records, len(states)) for target in chosen}
            self._thread = threading.Thread(target=self._round, args=(facts, dict(places)), name="vitald-diagnose", daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait for the round that is out."""
        if self._thread:
            self._thread.join(seconds)

    def close(self) -> None:
        """End the round that is out."""
        self._child.stop()
        self._links.stop()

    def _round(self, facts: Mapping[str, Facts], places: Mapping[str, Address]) -> None:
        try:
            found = self._find_out(facts, places)
        except Exception:
            log.exception("no diagnosis of %s", ", ".join(facts))
            found = {}
        now = time.monotonic()
        for target in facts:
            self._due.pop(target, None)
            self._done[target] = now
            if target in found and target in self._states:
                self._known[target] = found[target]
                log.warning("%s: %s", target, found[target].line)
        self._done = {target: at for target, at in self._done.items() if now - at < QUIET}
        self._rested = now + REST

    def _find_out(self, facts: Mapping[str, Facts], places: Mapping[str, Address]) -> dict[str, Diagnosis]:
        seen = {target: self._local(one, places[target]) for target, one in facts.items()}
        plays: dict[str, tuple[Endpoint, ProbeScript[SynTrace]]] = {}
        for target, one in seen.items():
            if one.route and not one.route.local:
                host, port = zoned(places[target].sockaddr), places[target].sockaddr[1]
                plays[target] = (Endpoint(one.route.source, host, port, one.route.mtu), syn_trace())
        before = {one.route.interface: self._counters(one.route.interface) for one in seen.values() if one.route}
        looks, why_not = self._look(plays)
        answered = [target for target, one in looks.items() if one.syn.kind == "syn_ack" and target not in self._shy]
        again = dict(zip(answered, Sweeper().run([places[target] for target in answered], self._timeout), strict=True))
        hosts = {target: zoned(places[target].sockaddr) for target, one in seen.items() if one.route}
        ground = self._ground(hosts, before)
        for target, one in seen.items():
            grown = {}
            if one.route:
                was, now = before[one.route.interface], self._counters(one.route.interface)
                grown = {name: now[name] - was[name] for name in now if name in was and now[name] > was[name]}
            way = ground.routes.get(hosts.get(target, ""))
            state = way.neighbour if way and not way.error else _neighbour(one, places[target].sockaddr[0])
            link = ground.links.get(one.route.interface) if one.route else None
            seen[target] = replace(
                one,
                look=looks.get(target), no_look=why_not, again=again.get(target), counters=grown, neighbour=state, way=way, link=link,
            )  # fmt: skip
        return {target: conclude(one) for target, one in seen.items()}

    def _look(self, plays: dict[str, tuple[Endpoint, ProbeScript[SynTrace]]]) -> tuple[dict[str, SynTrace], str]:
        try:
            results = self._child.run(plays, LONGEST)
        except Unavailable as why:
            return {}, f"no half-open SYN and no trace: {why}"
        return results.found, f"no half-open SYN and no trace: {results.failure}" if results.failure else ""

    def _ground(self, hosts: Mapping[str, str], interfaces: Iterable[str]) -> LinkAnswer:
        """Ask pyroute2's child for route, next hop and link, after the packets: they have made the kernel look for its neighbour."""
        if not hosts:
            return LinkAnswer()
        try:
            return self._links.ask(LinkQuestion(tuple(hosts.values()), tuple(interfaces)))
        except HelperFailed as why:  # on a host without memory, say: what the main process can ask by itself has to do
            log.info("the diagnosis knows less of routes and links: %s", why)
            return LinkAnswer()

    def _local(self, facts: Facts, address: Address) -> Facts:
        try:
            return replace(facts, route=route(zoned(address.sockaddr)))
        except OSError as error:
            return replace(facts, route_error=error.errno or 0)

    def _counters(self, interface: str) -> dict[str, int]:
        """Read what the interface has counted: Documentation/ABI/testing/sysfs-class-net-statistics; and its changes of carrier."""
        folder, found = self._sys / "class/net" / interface, {}
        names = ("rx_packets", "tx_packets", "rx_errors", "tx_errors", "rx_dropped", "tx_dropped", "tx_carrier_errors")
        for name, path in (*((name, folder / "statistics" / name) for name in names), ("carrier_changes", folder / "carrier_changes")):
            try:
                found[name] = int(path.read_text())
            except (OSError, ValueError):
                continue
        return found


def _neighbour(facts: Facts, host: str) -> str:
    try:
        return neighbour(facts.route, host) if facts.route else ""
    except OSError:
        return ""


def _facts(target: str, records: Mapping[str, Record], bad: int) -> Facts:
    record = records[target]
    last = tuple(LABELS[reason] for reason in record.newest(LAST))
    return Facts(record.last or Outcome(Reason.OTHER), last=last, others=len(records) - 1, others_bad=bad - 1)

"""Runner of diagnoses: one for each change of a target's state, a few at a time, in a thread beside the sweep."""

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
from collectors.probe.connect.result import ANSWERS, LABELS, LOOKUP, ProbeResult, Reason
from collectors.probe.connect.sweep import Sweeper
from collectors.probe.diagnosis.rules import Diagnosis, Facts, Others, conclude
from collectors.probe.judge import LOOKUP_FAILS, is_comparable, is_healthy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from collectors.netlink.route import Route
    from collectors.packets.protocol import ProbeScript
    from collectors.probe.target_stats import TargetStats
    from collectors.probe.targets.target import SocketAddress

MAX_TARGETS = 8  # of one round; the others of a large outage wait for the next
ROUND_GAP_SECONDS = 10.0  # from the end of one round to the start of the next
TARGET_GAP_SECONDS = 60.0  # between two diagnoses of one target: flapping makes no flood
MAX_SECONDS = 12.0  # of a round: 30 hops of 0.6 s are cut short
RECENT = 20  # results in the evidence
_NOT_REACHED = f"no half-open SYN and no trace: the round ended after {MAX_SECONDS:g} s"

log = logging.getLogger(__name__)


class DiagnosisRunner:
    """Starts a diagnosis when a target's state changes, and keeps it until the target is healthy again."""

    def __init__(self, sys: Path, timeout: float) -> None:
        self._sys = sys
        self._timeout = timeout
        self._packets = PacketClient()
        self._links = LinkDetailsClient()
        self._diagnoses: dict[str, Diagnosis] = {}
        self._states: dict[str, str] = {}
        self._due: dict[str, None] = {}
        self._ended: dict[str, float] = {}  # monotonic: the last diagnosis of each target
        self._next_round = 0.0
        self._half_open_targets: frozenset[str] = frozenset()
        self._thread: threading.Thread | None = None

    def diagnoses(self) -> dict[str, Diagnosis]:
        """Return the diagnoses of the targets that are bad, as far as they have ended."""
        return dict(self._diagnoses)

    def update(
        self,
        states: Mapping[str, str],
        stats: Mapping[str, TargetStats],
        addresses: Mapping[str, SocketAddress],
        half_open_targets: frozenset[str],
    ) -> None:
        """Store the states of all bad targets, and start a round if one has changed; `half_open_targets` get no connect."""
        self._half_open_targets = half_open_targets
        for target in self._states.keys() - states.keys():
            self._diagnoses.pop(target, None)
            self._due.pop(target, None)
        for target, state in states.items():
            before = self._states.get(target, state)
            if not is_comparable(before, state):
                self._diagnoses.pop(target, None)
            if state == LOOKUP_FAILS:
                self._due.pop(target, None)  # nothing is sent to a name without an address
            elif target not in self._states or before != state:
                self._due[target] = None
        self._states = dict(states)
        now = time.monotonic()
        if not self._due or now < self._next_round or (self._thread and self._thread.is_alive()):
            return
        gap = TARGET_GAP_SECONDS
        chosen = [target for target in self._due if target in addresses and now - self._ended.get(target, -gap) >= gap][:MAX_TARGETS]
        if chosen:
            facts = {target: _first_facts(target, stats) for target in chosen}
            begun = {target: states[target] for target in chosen}
            self._thread = threading.Thread(target=self._round, args=(facts, addresses, begun), name="vitald-diagnose", daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait for the round in progress."""
        if self._thread:
            self._thread.join(seconds)

    def close(self) -> None:
        """End the round in progress."""
        self._packets.stop()
        self._links.stop()

    def _round(self, facts: Mapping[str, Facts], addresses: Mapping[str, SocketAddress], begun: Mapping[str, str]) -> None:
        """Run one round; `begun` are the targets' states at its start: a diagnosis of another kind of failure is not kept."""
        try:
            diagnoses = {target: conclude(complete) for target, complete in self._complete(facts, addresses).items()}
        except Exception:
            log.exception("diagnosis failed targets=%s", ",".join(facts))
            diagnoses = {}
        now = time.monotonic()
        for target in facts:
            state = self._states.get(target)
            if state in {None, begun[target]}:
                self._due.pop(target, None)
            self._ended[target] = now
            if target in diagnoses and state is not None and is_comparable(begun[target], state):
                self._diagnoses[target] = diagnoses[target]
                log.warning("diagnosis ended target=%s cause=%s", target, diagnoses[target].summary)
        self._ended = {target: at for target, at in self._ended.items() if now - at < TARGET_GAP_SECONDS}
        self._next_round = now + ROUND_GAP_SECONDS

    def _complete(self, first: Mapping[str, Facts], addresses: Mapping[str, SocketAddress]) -> dict[str, Facts]:
        """Gather the facts of one round: routes, packets, a second connect where a SYN was answered, then next hops and links."""
        facts = {target: _with_route(found, addresses[target]) for target, found in first.items()}
        routes = {target: found.route for target, found in facts.items() if found.route}
        hosts = {target: zoned(addresses[target].sockaddr) for target in routes}
        scripts = {
            target: (Endpoint(way.source, hosts[target], addresses[target].sockaddr[1], way.mtu), syn_trace())
            for target, way in routes.items()
            if not way.local
        }
        before = {way.interface: self._counters(way.interface) for way in routes.values()}
        packets, no_packets = self._send_packets(scripts)
        answered = [target for target, found in packets.items() if found.syn.kind == "syn_ack" and target not in self._half_open_targets]
        second = dict(zip(answered, Sweeper().run([addresses[target] for target in answered], self._timeout), strict=True))
        links = self._read_links(hosts, before)
        for target, found in facts.items():
            sent = replace(found, packets=packets.get(target), no_packets=no_packets or _NOT_REACHED, second_connect=second.get(target))
            facts[target] = sent
            if way := routes.get(target):
                was, now = before[way.interface], self._counters(way.interface)
                info = links.routes.get(hosts[target])
                facts[target] = replace(
                    sent,
                    counters={name: now[name] - was[name] for name in now if name in was and now[name] > was[name]},
                    neighbour=info.neighbour if info and not info.error else _neighbour_state(way, addresses[target].sockaddr[0]),
                    route_info=info,
                    link=links.links.get(way.interface),
                )
        return facts

    def _send_packets(self, scripts: dict[str, tuple[Endpoint, ProbeScript[SynTrace]]]) -> tuple[dict[str, SynTrace], str]:
        try:
            results = self._packets.run(scripts, MAX_SECONDS)
        except Unavailable as error:
            return {}, f"no half-open SYN and no trace: {error}"
        return results.found, f"no half-open SYN and no trace: {results.failure}" if results.failure else ""

    def _read_links(self, hosts: Mapping[str, str], interfaces: Iterable[str]) -> LinkAnswer:
        """Ask the link details helper for route, next hop and link; after the packets, which have made the kernel resolve the next hop."""
        if not hosts:
            return LinkAnswer()
        try:
            return self._links.ask(LinkQuestion(tuple(hosts.values()), tuple(interfaces)))
        except HelperFailed as error:  # on a host without memory, say: the facts that this process reads itself remain
            log.info("diagnosis without link details error=%s", error)
            return LinkAnswer()

    def _counters(self, interface: str) -> dict[str, int]:
        """Read the interface's counters (Documentation/ABI/testing/sysfs-class-net-statistics) and its carrier changes."""
        folder, counters = self._sys / "class/net" / interface, {}
        names = ("rx_packets", "tx_packets", "rx_errors", "tx_errors", "rx_dropped", "tx_dropped", "tx_carrier_errors")
        for name, path in (*((name, folder / "statistics" / name) for name in names), ("carrier_changes", folder / "carrier_changes")):
            try:
                counters[name] = int(path.read_text())
            except (OSError, ValueError):
                continue
        return counters


def _first_facts(target: str, stats: Mapping[str, TargetStats]) -> Facts:
    last = stats[target].last or ProbeResult(Reason.OTHER)
    recent = tuple(LABELS[reason] for reason in stats[target].newest(RECENT))
    return Facts(last, recent=recent, others=_others(target, stats))


def _others(target: str, stats: Mapping[str, TargetStats]) -> Others:
    """Count the other targets that were probed, by what their last probe says; a failed look-up says nothing about the network."""
    counts = dict.fromkeys(Others._fields, 0)
    for other, found in stats.items():
        last = found.last
        if other == target or last is None or last.reason in LOOKUP:
            continue
        if last.local_error:
            counts["local"] += 1
        elif last.reason in ANSWERS:
            counts["prohibited" if last.reason is Reason.PROHIBITED else "refusing"] += 1
        else:
            counts["fine" if is_healthy(found) else "silent"] += 1
    return Others(**counts)


def _with_route(facts: Facts, address: SocketAddress) -> Facts:
    try:
        return replace(facts, route=route(zoned(address.sockaddr)))
    except OSError as error:
        return replace(facts, route_error=error.errno or 0)


def _neighbour_state(way: Route, host: str) -> str:
    try:
        return neighbour(way, host)
    except OSError:
        return ""

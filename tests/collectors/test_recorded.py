"""Verdicts, trends and selections of a few hundred inputs each, in full, as recorded: no text, figure or threshold changes unseen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from collectors.dhcp.judge import judge_leases
from collectors.interfaces import IgnoredInterfaces
from collectors.logs.fault_lifetime import FaultLifetimes, FaultRules
from collectors.logs.judge import judge as judge_logs
from collectors.logs.matching.matcher import Matcher, allow_any, allow_claimed_origin, allow_kernel, allow_program_tag
from collectors.memory.judge import judge_kernel, judge_processes
from collectors.memory.trend.growth import growth
from collectors.memory.trend.window import Point, Window, ascending
from collectors.nic.checks.version import is_older, is_version, release_key, version_numbers, version_origin
from collectors.nic.checks.version_assessment import assess_version
from collectors.nic.judge import verdicts
from collectors.path_mtu.judge import judge_path
from collectors.path_mtu.search import search
from collectors.probe.judge import bad_states, is_comparable, judge, judge_targets
from collectors.probe.reading import ProbeReading
from collectors.probe.targets.mesh import Mesh
from collectors.probe.targets.rendezvous import choose, shares
from tests.kit import readings
from tests.kit.log_readings import SIGNATURES, Naive, log_block, log_event, logs_reading
from tests.kit.memory_readings import grown, memory_analysis
from tests.kit.readings import seeded
from tests.kit.recorded import RECORD, assert_as_recorded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

pytestmark = pytest.mark.fault(169)

VERSIONS = (
    *("", "N/A", "n/a", "2.2.9", "2.2.9g", "2.2.10", "2.17.0G", "2.1.0K", "2.12.1-k", "2.12.1-K", "4.0.3", "1.0.2", "2", "2.", "1.2.3.4.5"),
    *("6.1.0-50-amd64", "6.1.0~rc2", "3.10.0-1160.el7.x86_64", "4.14.33-59.37.amzn2", "1.2-x", "1.2 x", "-k", "1.2k-", "g", "1.2.3gg"),
)
HERE = Path(__file__).parent / "recorded"


def unique(values: Iterable[Any]) -> Iterator[Any]:
    """Yield each once: equal verdicts say the same of equal readings."""
    seen: set[str] = set()
    for value in values:
        if (text := repr(value)) not in seen:
            seen.add(text)
            yield value


def test_nic() -> None:
    assert_as_recorded(
        HERE / "nic.jsonl", unique(verdict for seed in range(70) for verdict in verdicts(readings.nic_reading(seeded(seed))))
    )


def test_path_mtu() -> None:
    assert_as_recorded(
        HERE / "path_mtu.jsonl", unique(judge_path("10.0.0.5:22", readings.path_mtu_result(seeded(seed))) for seed in range(90))
    )


def test_path_mtu_search() -> None:
    assert_as_recorded(HERE / "path_mtu_search.jsonl", (readings.played(search, seed) for seed in range(120)))


def test_dhcp() -> None:
    assert_as_recorded(
        HERE / "dhcp.jsonl", unique(verdict for seed in range(120) for verdict in judge_leases(*readings.leases(seeded(seed))))
    )


def test_tcp_probe() -> None:
    stats = [readings.target_stats(seeded(seed)) for seed in range(160)]
    assert_as_recorded(HERE / "tcp_probe.jsonl", unique(judge("10.0.0.5:22", found, 3) for found in stats))
    listed = {f"10.0.0.{number}:22": found for number, found in enumerate(stats)}
    states = bad_states(listed)
    every = sorted(set(states.values()))
    comparable = [[before, now, is_comparable(before, now)] for before in every for now in every]
    summary = [[v.subject, v.level, v.message] for v in judge_targets(ProbeReading(listed), 2)]
    assert_as_recorded(HERE / "tcp_probe_states.jsonl", [states, *comparable, *summary])


def test_target_stats() -> None:
    def lines() -> Iterator[Any]:
        for seed in range(40):
            found = readings.target_stats(seeded(seed), rtts=True)
            yield [*found[:-2], found.sweeps.hex()[-24:], found.window, found.median(), found.recent_failures(), found.lost_syns()]
            yield [found.newest(3), found.round_trips()[-5:]]

    assert_as_recorded(HERE / "target_stats.jsonl", lines())


def test_memory() -> None:
    def found() -> Iterator[Any]:
        for seed in range(90):
            analysis, settings = memory_analysis(seeded(seed))
            yield judge_kernel(analysis, settings)
            yield judge_processes(analysis, settings)

    assert_as_recorded(HERE / "memory.jsonl", unique(found()))


def test_trend() -> None:
    assert_as_recorded(HERE / "trend.jsonl", (grown(seeded(seed), growth) for seed in range(240)))


def test_window() -> None:
    def lines() -> Iterator[Any]:
        for seed in range(20):
            pick, window, at = seeded(seed), Window(), 1000.0
            for _ in range(pick((3, 40, 300))):
                at += pick((0.5, 14.0, 30.0, 30.0, 30.0, 30.0, 600.0, 2000.0, 900.0 * 90, 900.0 * 98, -5.0))
                size = pick(range(1000))
                window = window.add(Point(at, size, (size // 2, size // 3)), pick((3600.0, 3600.0, 60.0)))
            rows = [window.fast, window.slow, (window.lowest,) if window.lowest else ()]
            yield [[[p.at, p.size, *p.parts] for p in (*row[:3], *row[-3:])] for row in rows] + [len(window.fast), len(window.slow)]
            yield ascending(window.fast, at) == window.fast, ascending(window.fast, at - 1000)[-3:], ascending(window.slow[::-1], at)

    assert_as_recorded(HERE / "window.jsonl", lines())


def test_logs() -> None:
    assert_as_recorded(HERE / "logs.jsonl", unique(v for seed in range(80) for v in judge_logs(logs_reading(seeded(seed)))))


def test_fault_lifetimes() -> None:
    def lines() -> Iterator[Any]:
        for seed in range(16):
            pick = seeded(seed)
            lifetimes = FaultLifetimes(FaultRules(SIGNATURES))
            for at in range(0, 1500, pick((10, 30, 100))):
                event = log_event(pick, 1e9 + at)
                done = lifetimes.apply(event, float(at - pick((0, 0, 0, 50, 400))))
                yield [done.fault and [done.fault.instance, done.fault.level, done.fault.count, done.fault.updated], done.is_new,
                       [f.signature for f in done.cleared], [f.signature for f in done.replaced]]  # fmt: skip
                if not pick(range(12)):
                    yield [(f.signature, f.instance) for f in lifetimes.expire(float(at))]
                if not pick(range(20)):
                    saved = lifetimes.faults, lifetimes.recent(float(at))
                    yield [[list(msgspec_values(fault)) for fault in saved[0]], saved[1]]
                    lifetimes = FaultLifetimes(FaultRules(SIGNATURES), *saved)
                if not pick(range(30)) and lifetimes.faults:
                    lifetimes.end(lifetimes.faults[0])

    assert_as_recorded(HERE / "fault_lifetimes.jsonl", lines())


def msgspec_values(fault: Any) -> Iterator[Any]:
    yield from (getattr(fault, name) for name in fault.__struct_fields__)


def test_rendezvous() -> None:
    def lines() -> Iterator[Any]:
        for seed in range(30):
            pick = seeded(seed)
            hosts = [(f"10.0.{pick(range(3))}.{pick(range(40))}:9586", pick(("a", "a", "b", "c", ""))) for _ in range(pick((0, 1, 5, 60)))]
            yield choose(f"me{seed}", hosts, pick((1, 2, 3, 20)))
            yield shares({"a": pick(range(9)), "b": pick(range(50)), "": 1}, pick((0, 1, 7, 40)), pick((0.0, 0.25, 0.999)))

    assert_as_recorded(HERE / "rendezvous.jsonl", lines())


def test_matcher() -> None:
    def lines() -> Iterator[Any]:
        ignored = IgnoredInterfaces(nic=("veth*",), dhcp=("tap*",))
        matcher = Matcher(SIGNATURES, Naive(SIGNATURES), ignored)
        for seed in range(60):
            block, bare = log_block(seeded(seed))
            for allow in (allow_any, allow_claimed_origin, allow_program_tag, allow_kernel):
                found = [
                    [m.signature.id, m.instance, m.alias, m.fields, m.times, m.start] for m in matcher.match_block(block, allow, bare=bare)
                ]
                yield [m[0] for m in found] if allow is not allow_any else found
            yield [match.signature.id for match in matcher.match_line(block, allow_any)]
            yield [match.signature.id for match in matcher.ignoring_nothing().match_block(block, allow_any)]
        yield [
            [signature.id, name, matcher.ignores(signature, name)]
            for signature in SIGNATURES
            for name in ("veth1", "tap0", "loop1", "\u00e9")
        ]

    assert_as_recorded(HERE / "matcher.jsonl", lines())


def test_versions() -> None:
    def lines() -> Iterator[Any]:
        for text in VERSIONS:
            yield [text, version_origin(text, "6.1.0-50-amd64"), version_numbers(text), is_version(text), release_key(text)]
            yield [other for other in VERSIONS if is_older(text, other)]
        for driver in (*readings.DRIVERS, "vmxnet3"):
            for text in VERSIONS:
                for release in readings.RELEASES:
                    for counters in ((), ("wd_expired", "suspend", "conntrack_allowance_available", "tx_timeout")):
                        found = assess_version(driver, text, release, counters)
                        unmet = [[rule.version, rule.level] for rule in found.unmet_minimums()]
                        yield [driver, found.is_own, found.proven, found.remediation, unmet, *map(found.finding, (None, "2.2.9", "2.2.10"))]

    assert_as_recorded(HERE / "versions.jsonl", unique(lines()))


def test_mesh(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def lines() -> Iterator[Any]:
        context = readings.recorded_host(tmp_path)
        path = tmp_path / "mesh.json"
        mesh = Mesh([str(path)], 3, "zone", ["rack", "role"], context)
        now = 100.0
        for seed in range(25):
            pick = seeded(seed)
            path.write_text(json.dumps(readings.mesh_groups(pick)) if seed % 9 != 5 else "[]")
            now += pick((29.9, 30.0, 31.0))
            yield [mesh.refresh(now), mesh.selection.peers, mesh.selection.hosts, mesh.selection.own]
        yield list(mesh.valid().values())

    assert_as_recorded(HERE / "mesh.jsonl", lines())
    text = "mesh files list no host, keeping the previous peers peers"
    assert [record.getMessage() for record in caplog.records] == [f"{text}=1", f"{text}=2"]


def test_replaced_results_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RECORD, raising=False)
    (tmp_path / "one.jsonl").write_text('"a"\n')
    for wrong in (["b"], [], ["a", "a"]):
        with pytest.raises(AssertionError):
            assert_as_recorded(tmp_path / "one.jsonl", wrong)

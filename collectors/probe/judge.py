"""Turn a target's statistics into a verdict."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from collectors.model import Level, Verdict
from collectors.probe.connect.result import ANSWERS, LABELS, LOOKUP, ProbeResult, Reason
from collectors.probe.dns.multi_address import qualify
from collectors.probe.target_stats import WINDOW
from collectors.text import utc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from collectors.probe.diagnosis.rules import Diagnosis
    from collectors.probe.reading import ProbeReading
    from collectors.probe.target_stats import TargetStats

CHECK = "tcp_probe"
# Connects of the last 120 that needed a retransmission, from which on SYNs "are being lost".
# Of 120 connects over a path that loses a share p of SYNs or SYN-ACKs, about Poisson(120 p) need a retransmission. Three or more do with
# probability 3·10⁻⁷ at p = 0.01 %, 3·10⁻⁴ at 0.1 %, 12 % at 1 %, 94 % at 5 %. A window at the default 5 s is 10 minutes, so 144 a day:
# on a healthy path (0.01 %) one false alarm in 65 years for each target, on one that loses a packet in a thousand one in 27 days.
# One burst counts once for each target, since it meets one of its connects.
LOSSY = 3
REFUSES, LOOKUP_FAILS = "refuses", "look-up fails"  # states of a bad target

_REMEDIATIONS = {
    Reason.TIMEOUT: "Nothing came back: check the target's power and load, then security groups, network ACLs and routes on the path.",
    Reason.REFUSED: "The host answers but nothing listens on that port: check the service on the target.",
    Reason.RESET: "The connection was reset right after it was established: check the service, its accept queue and any load balancer.",
    Reason.HOST_UNREACHABLE: "The last hop has no answer from the target: is it running, and is the address still its own?",
    Reason.PROHIBITED: "A firewall rejects it: check the rules of the sender of the ICMP error (nft list ruleset, iptables -S).",
    Reason.NET_UNREACHABLE: "A router on the path has no route: check the route tables between here and the target.",
    Reason.DNS_NOT_FOUND: "The name has no address: check its spelling, its zone and the search domains in /etc/resolv.conf.",
    Reason.DNS_TIMEOUT: "The name servers in /etc/resolv.conf do not answer for this name.",
    Reason.DNS_ERROR: "The name servers in /etc/resolv.conf answer with an error: check them and the name's zone.",
    Reason.OTHER: "See the errno in the evidence.",
}
_LOCAL_REMEDIATIONS = {
    Reason.PERMISSION: "Check this host's own firewall (nft list ruleset, iptables -S OUTPUT) and cgroup or LSM rules for vitald.",
    Reason.LOCAL_RESOURCES: "Check this host: ss -s, net.ipv4.ip_local_port_range, nf_conntrack_count against _max, and ulimit -n.",
    Reason.NET_UNREACHABLE: "This host has no route to the target: ip route get ADDRESS.",
    Reason.DNS_TIMEOUT: "Look-ups of other names hang and occupy every thread: check the name servers in /etc/resolv.conf.",
    Reason.HOST_UNREACHABLE: "This host's routing table says unreachable: ip route get ADDRESS.",
}


def judge_targets(reading: ProbeReading, failures_until_critical: int) -> Iterator[Verdict]:
    """Return one verdict per target."""
    for target, stats in reading.stats.items():
        if is_healthy(stats):
            yield healthy(target)
        else:
            verdict = judge(target, stats, failures_until_critical, reading.diagnoses.get(target))
            yield qualify(verdict, reading.by_address.get(target, {}))


def is_healthy(stats: TargetStats) -> bool:
    """Return whether the last probe was answered and no SYNs are being lost."""
    return stats.last is not None and not stats.last.reason and stats.lossy < LOSSY


def bad_states(stats: Mapping[str, TargetStats]) -> dict[str, str]:
    """Return the state of each target that is not healthy; those that were not probed yet are left out."""
    return {target: _bad_state(found) for target, found in stats.items() if found.last is not None and not is_healthy(found)}


def _bad_state(stats: TargetStats) -> str:
    if stats.last is not None and stats.last.local_error:
        return "local error"
    if stats.last is not None and stats.last.reason in ANSWERS:
        return REFUSES
    if stats.last is not None and stats.last.reason in LOOKUP:
        return LOOKUP_FAILS
    return "failing" if stats.in_a_row else "losing SYNs"


def is_comparable(before: str, now: str) -> bool:
    """Return whether a diagnosis made in one state of a target may explain another: a refusal explains no silence, nor the reverse."""
    return before == now or not {before, now} & {REFUSES, LOOKUP_FAILS}


def judge(target: str, stats: TargetStats, failures_until_critical: int, diagnosis: Diagnosis | None = None) -> Verdict:
    """Return the verdict of a target: failing, not probed because of a local error, losing SYNs or healthy; with its diagnosis, if any."""
    if stats.last is None:
        return Verdict(CHECK, target, Level.HEALTHY, "not probed yet")
    verdict = _judge(target, stats, stats.last, failures_until_critical)
    if diagnosis is None or verdict.level is Level.HEALTHY:
        return verdict
    evidence = {**verdict.evidence, "diagnosis": dict(diagnosis.evidence)}
    return replace(verdict, message=f"{verdict.message}: {diagnosis.summary}", evidence=evidence)


def _judge(target: str, stats: TargetStats, last: ProbeResult, failures_until_critical: int) -> Verdict:
    if last.local_error:
        return _local_error(target, stats, last)
    if stats.in_a_row:
        return _failing(target, stats, last, failures_until_critical)
    return _lossy(target, stats) if stats.lossy >= LOSSY else healthy(target)


@lru_cache(maxsize=4096)
def healthy(target: str) -> Verdict:
    """Return the verdict of an answering target; the same object each time."""
    return Verdict(CHECK, target, Level.HEALTHY, "answers")


def _failing(target: str, stats: TargetStats, last: ProbeResult, failures_until_critical: int) -> Verdict:
    level = Level.CRITICAL if stats.in_a_row >= failures_until_critical else Level.WARNING
    reasons = stats.recent_failures()
    message = f"{_describe(last.reason)} {_times(stats.in_a_row)} since {utc(stats.since)}"
    if len(reasons) > 1:
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
        message = f"failed {_times(stats.in_a_row)} since {utc(stats.since)}, {counts}"
    if last.reason is Reason.TIMEOUT:
        message += f"; the last one had no answer to {_count(1 + last.retransmits, 'SYN')} in {last.seconds:.1f} s"
    if last.router:
        message += f"; ICMP error from {last.router}"
    if last.reason in ANSWERS and not last.router:
        message += "; an answer, so its host is up"
    evidence = {"failures_in_a_row": stats.in_a_row, "since": utc(stats.since), **_facts(stats, last), "reasons": reasons}
    return Verdict(CHECK, target, level, message, evidence, _REMEDIATIONS.get(last.reason, _REMEDIATIONS[Reason.OTHER]))


def _local_error(target: str, stats: TargetStats, last: ProbeResult) -> Verdict:
    """Warn of this host: the probe is no evidence about the target, so the failures before it still count."""
    error = os.strerror(last.error) if last.error else "no thread or memory for it"
    before = f"before that it failed {_times(stats.in_a_row)}" if stats.in_a_row else "no evidence against the target"
    message = f"this host itself could not probe it: {_describe(last.reason)} ({error}); {before}"
    remediation = _LOCAL_REMEDIATIONS.get(last.reason, _REMEDIATIONS[Reason.OTHER])
    return Verdict(CHECK, target, Level.WARNING, message, {"local_error": True, **_facts(stats, last)}, remediation)


def _lossy(target: str, stats: TargetStats) -> Verdict:
    lost = stats.lost_syns()
    message = (
        f"SYNs are being lost: {stats.lossy} of the last {stats.window} connects succeeded only after {_count(lost, 'retransmission')}"
    )
    evidence = {"lossy_connects": stats.lossy, "sweeps": stats.window, "window": WINDOW, "lost_syns": lost, "attempts": stats.attempts}
    remediation = "Check packet loss on the path, the target's listen queue (nstat TcpExtListenDrops) and its network allowances."
    return Verdict(CHECK, target, Level.WARNING, message, evidence, remediation)


def _facts(stats: TargetStats, last: ProbeResult) -> dict[str, Any]:
    facts: dict[str, Any] = {"reason": LABELS[last.reason], "attempts": stats.attempts, "syn_retransmits": last.retransmits}
    if last.error:
        facts["errno"] = errno.errorcode.get(last.error, str(last.error))
    if last.router:
        facts["icmp_from"] = last.router
    return facts


def _describe(reason: Reason) -> str:
    return {Reason.TIMEOUT: "timed out", Reason.PERMISSION: "not permitted"}.get(reason, LABELS[reason].replace("_", " "))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times in a row"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"

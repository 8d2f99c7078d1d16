"""What a target's record means."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from collectors.model import Level, Verdict
from collectors.probe.connect.outcome import LABELS, Outcome, Reason
from collectors.probe.target_stats import WINDOW
from collectors.text import utc

if TYPE_CHECKING:
    from collectors.probe.diagnosis.rules import Diagnosis
    from collectors.probe.target_stats import Record

CHECK = "tcp_probe"
LOSSY = 3
"""Connects of the last 120 that needed a retransmission, from which on SYNs "are being lost".

Of 120 connects over a path that loses a share p of SYNs or SYN-ACKs, about Poisson(120 p) need a retransmission. Three or more do with
probability 3·10⁻⁷ at p = 0.01 %, 3·10⁻⁴ at 0.1 %, 12 % at 1 %, 94 % at 5 %. A window at the default 5 s is 10 minutes, so 144 a day:
on a healthy path (0.01 %) one false alarm in 65 years for each target, on one that loses a packet in a thousand one in 27 days.
One burst counts once for each target, since it meets one of its connects.
"""

_REMEDIATIONS = {
    Reason.TIMEOUT: "Nothing came back: look at the target's power and load, then security groups, network ACLs and routes on the way.",
    Reason.REFUSED: "The host answers but nothing listens on that port: look at the service on the target.",
    Reason.RESET: "The connection was cut as soon as it stood: look at the service, its accept queue and any load balancer before it.",
    Reason.HOST_UNREACHABLE: "The last hop has no answer from the target: is it running, and is the address still its own?",
    Reason.NET_UNREACHABLE: "A router on the way knows no route: look at the route tables between here and the target.",
    Reason.DNS_NOT_FOUND: "The name has no address: look at its spelling, its zone and the search domains in /etc/resolv.conf.",
    Reason.DNS_TIMEOUT: "The name servers in /etc/resolv.conf do not answer for this name.",
    Reason.DNS_ERROR: "The name servers in /etc/resolv.conf answer with an error: look at them and at the name's zone.",
    Reason.OTHER: "See the errno in the evidence.",
}
_OWN_REMEDIATIONS = {
    Reason.PERMISSION: "Look at this host's own firewall (nft list ruleset, iptables -S OUTPUT) and at cgroup or LSM rules for vitald.",
    Reason.LOCAL_RESOURCES: "Look at this host: ss -s, net.ipv4.ip_local_port_range, nf_conntrack_count against _max, and ulimit -n.",
    Reason.NET_UNREACHABLE: "This host has no route to the target: ip route get ADDRESS.",
    Reason.DNS_TIMEOUT: "Look-ups of other names hang and hold every thread: look at the name servers in /etc/resolv.conf.",
    Reason.HOST_UNREACHABLE: "This host's routing table says unreachable: ip route get ADDRESS.",
}


def judge(target: str, record: Record, failures_until_critical: int, diagnosis: Diagnosis | None = None) -> Verdict:
    """Say how a target is: failing, held up by this host itself, losing SYNs, or healthy; and why, where that was found out."""
    if record.last is None:
        return waiting(target)
    verdict = _judge(target, record, record.last, failures_until_critical)
    if diagnosis is None or verdict.level is Level.HEALTHY:
        return verdict
    evidence = {**verdict.evidence, "diagnosis": dict(diagnosis.evidence)}
    return replace(verdict, message=f"{verdict.message}: {diagnosis.line}", evidence=evidence)


def _judge(target: str, record: Record, last: Outcome, failures_until_critical: int) -> Verdict:
    if last.own_fault:
        return _own_fault(target, record, last)
    if record.in_a_row:
        return _failing(target, record, last, failures_until_critical)
    if record.lossy >= LOSSY:
        return _lossy(target, record)
    return healthy(target)


@lru_cache(maxsize=4096)
def healthy(target: str) -> Verdict:
    """Give the verdict that nearly every target has nearly always; made once for each."""
    return Verdict(CHECK, target, Level.HEALTHY, "answers")


def waiting(target: str) -> Verdict:
    """Give the verdict of a target whose name's first look-up is under way."""
    return Verdict(CHECK, target, Level.HEALTHY, "not probed yet")


def _failing(target: str, record: Record, last: Outcome, failures_until_critical: int) -> Verdict:
    level = Level.CRITICAL if record.in_a_row >= failures_until_critical else Level.WARNING
    reasons = record.recent()
    message = f"{_words(last.reason)} {_times(record.in_a_row)} since {utc(record.since)}"
    if len(reasons) > 1:
        message = f"failed {_times(record.in_a_row)} since {utc(record.since)}, {_list(reasons)}"
    if last.reason is Reason.TIMEOUT:
        message += f"; the last one had no answer to {_count(1 + last.retransmits, 'SYN')} in {last.seconds:.1f} s"
    if last.router:
        message += f"; {last.router} says so"
    evidence = {"failures_in_a_row": record.in_a_row, "since": utc(record.since), **_facts(record, last), "reasons": reasons}
    return Verdict(CHECK, target, level, message, evidence, _REMEDIATIONS.get(last.reason, _REMEDIATIONS[Reason.OTHER]))


def _own_fault(target: str, record: Record, last: Outcome) -> Verdict:
    """Warn of this host: nothing was learnt about the target, so what was known of it stands."""
    says = os.strerror(last.error) if last.error else "no thread or memory for it"
    message = f"this host itself could not probe it: {_words(last.reason)} ({says}); nothing is known against the target"
    if record.in_a_row:
        message = f"this host itself could not probe it: {_words(last.reason)} ({says}); before that it failed {_times(record.in_a_row)}"
    remediation = _OWN_REMEDIATIONS.get(last.reason, _REMEDIATIONS[Reason.OTHER])
    return Verdict(CHECK, target, Level.WARNING, message, {"own_fault": True, **_facts(record, last)}, remediation)


def _lossy(target: str, record: Record) -> Verdict:
    sweeps, lost = len(record.window), record.lost()
    message = f"SYNs are being lost: {record.lossy} of the last {sweeps} connects succeeded only after {_count(lost, 'retransmission')}"
    evidence = {"lossy_connects": record.lossy, "sweeps": sweeps, "window": WINDOW, "lost_syns": lost, "attempts": record.attempts}
    remediation = "Look at packet loss on the way, the target's listen queue (nstat TcpExtListenDrops) and its network allowances."
    return Verdict(CHECK, target, Level.WARNING, message, evidence, remediation)


def _facts(record: Record, last: Outcome) -> dict[str, Any]:
    facts: dict[str, Any] = {"reason": LABELS[last.reason], "attempts": record.attempts, "syn_retransmits": last.retransmits}
    if last.error:
        facts["errno"] = errno.errorcode.get(last.error, str(last.error))
    if last.router:
        facts["icmp_from"] = last.router
    return facts


def _words(reason: Reason) -> str:
    return {Reason.TIMEOUT: "timed out", Reason.PERMISSION: "not permitted"}.get(reason, LABELS[reason].replace("_", " "))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times in a row"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"


def _list(reasons: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items())

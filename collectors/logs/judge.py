"""One verdict per family of log signatures, healthy families included. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from collectors.logs.sources.coverage import remediation
from collectors.model import Level, Verdict
from collectors.text import ISO, utc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.logs.fault_lifetime import Fault
    from collectors.logs.matching.packs import Signature
    from collectors.logs.reading import LogsReading

CHECKS = {"dhcp": "dhcp_log", "nic": "nic_log", "storage": "storage_log", "memory": "memory_log", "kernel": "kernel_log"}


def judge(reading: LogsReading) -> Iterator[Verdict]:
    """Yield each family's verdict; its subject is the family. A family of which not all lines are read is not healthy but unknown."""
    verdicts = judge_faults(reading.faults, reading.signatures)
    if not reading.coverage.gaps and not reading.coverage.off:  # everything is read, as on most hosts at each tick
        yield from verdicts
        return
    of_family: dict[str, list[Signature]] = {family: [] for family in CHECKS}
    for signature in reading.signatures.values():
        of_family.setdefault(signature.family, []).append(signature)
    for verdict in verdicts:
        signatures = of_family[verdict.subject]
        gaps = reading.coverage.gaps_of(signatures)
        if verdict.level is not Level.HEALTHY:
            yield replace(verdict, evidence={**verdict.evidence, "not_read": gaps}) if gaps else verdict
        elif gaps:
            message = f"could not tell: {'; '.join(gaps)}"
            yield replace(verdict, level=Level.UNKNOWN, message=message, remediation=remediation(reading.unavailable, gaps))
        elif not reading.coverage.covers_none(signatures):
            yield verdict


def judge_faults(faults: Sequence[Fault], signatures: Mapping[str, Signature]) -> Iterator[Verdict]:
    """Yield each family's verdict from the open faults."""
    by_family: dict[str, list[Fault]] = {family: [] for family in CHECKS}
    for fault in faults:
        by_family.setdefault(signatures[fault.signature].family, []).append(fault)
    for family, check in CHECKS.items():
        worst_first = sorted(by_family[family], key=lambda fault: (-fault.level, -fault.updated))
        yield _verdict(check, family, worst_first, signatures) if worst_first else Verdict(check, family, Level.HEALTHY)


def _verdict(check: str, family: str, faults: Sequence[Fault], signatures: Mapping[str, Signature]) -> Verdict:
    """Describe the worst and newest fault, and list the other signatures."""
    worst = faults[0]
    signature = signatures[worst.signature]
    instance = f" ({worst.instance})" if worst.instance else ""
    times = "once" if worst.count == 1 else f"{worst.count} times since {_clock(worst.first)}, last"
    others = sorted({fault.signature for fault in faults[1:]} - {worst.signature})
    more = f"; also {', '.join(others)}" if others else ""
    evidence = {
        "signature": worst.signature,
        "count": worst.count,
        "first": _clock(worst.first),
        "last": _clock(worst.last),
        "line": worst.line,
        **({"instance": worst.instance} if worst.instance else {}),
        **({"unit": worst.unit} if worst.unit else {}),
        **({"others": others} if others else {}),
    }
    message = f"{signature.meaning or worst.signature}{instance}: {times} at {_clock(worst.last)}: {worst.line}{more}"
    return Verdict(check, family, Level(worst.level), message, evidence, signature.remediation)


def _clock(at: float) -> str:
    return utc(at, ISO)

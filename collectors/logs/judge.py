"""What faults in the logs mean: one verdict a family, the healthy ones too. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.model import Level, Verdict
from collectors.text import ISO, utc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.logs.matching.packs import Signature
    from collectors.logs.state import Fault

CHECKS = {"dhcp": "dhcp_log", "nic": "nic_log", "storage": "storage_log", "memory": "memory_log", "kernel": "kernel_log"}


def judge(faults: Sequence[Fault], signatures: Mapping[str, Signature], boottime: float) -> Iterator[Verdict]:
    """Give each family's verdict at `boottime`, in seconds since boot. A family's subject is its name."""
    active: dict[str, list[Fault]] = {family: [] for family in CHECKS}
    for fault in faults:
        signature = signatures[fault.signature]
        if signature.family in active and boottime - fault.boottime < signature.window:
            active[signature.family].append(fault)
    for family, check in CHECKS.items():
        found = sorted(active[family], key=lambda fault: (-fault.level, -fault.boottime))
        yield _verdict(check, family, found, signatures) if found else Verdict(check, family, Level.HEALTHY)


def _verdict(check: str, family: str, faults: Sequence[Fault], signatures: Mapping[str, Signature]) -> Verdict:
    """Speak of the worst and newest fault; name the others."""
    worst = faults[0]
    signature = signatures[worst.signature]
    where = f" ({worst.instance})" if worst.instance else ""
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
        **({"others": others} if others else {}),
    }
    message = f"{signature.meaning or worst.signature}{where}: {times} at {_clock(worst.last)}: {worst.line}{more}"
    return Verdict(check, family, Level(worst.level), message, evidence, signature.remediation)


def _clock(at: float) -> str:
    return utc(at, ISO)

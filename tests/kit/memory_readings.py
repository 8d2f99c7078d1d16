"""Analyses of memory and series of growth, drawn as in readings.py."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from collectors.memory.analysis import MemoryAnalysis
from collectors.memory.ledger import UNRECLAIMABLE, Ledger
from collectors.memory.process_trends import ProcessGrowth
from collectors.memory.procfs.processes import ProcessMemory
from collectors.memory.reading import MemoryReading, ProcessWindows
from collectors.memory.settings import MemorySettings
from collectors.memory.trend.history import new_history
from collectors.memory.trend.statistics import Growth
from collectors.memory.trend.window import DAY, QUARTER, SLOW, Point, Window
from collectors.settings import Duration
from tests.kit.readings import BOTH, WALL, some

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kit.readings import Pick

GIB, MIB = 1 << 30, 1 << 20
TOTAL = 16 * GIB
RATES = (0.0, -1e5, 1e3, 1e5, 1.2e6, 5e7)


def memory_analysis(pick: Pick) -> tuple[MemoryAnalysis, MemorySettings]:
    gains = {area: pick((0, 40 * MIB, 600 * MIB, 2 * GIB)) for area in some(pick, UNRECLAIMABLE)}
    before = {area: pick((10 * MIB, 0)) for area in gains} | {"tcp_buffers": MIB, "udp_buffers": 0}
    available = pick((0, 480 * MIB, TOTAL * 3 // 100, 4 * GIB, 9 * GIB))
    areas = {"free": available // 2, "anonymous": pick((0, 3 * GIB))} | {area: before[area] + gain for area, gain in gains.items()}
    ledger = Ledger(TOTAL, available, areas, {"tcp_buffers": pick((MIB, 900 * MIB)), "udp_buffers": pick((0, 100 * MIB))})
    processes = tuple(
        ProcessGrowth(ProcessMemory(pid, 5, pick(("java\n", "postgres")), pick((3 * MIB, 2 * GIB))), _growth(pick))
        for pid in some(pick, (7, 1234, 99999))
    )
    reading = MemoryReading(
        9000.0,
        WALL,
        ledger,
        new_history("boot-1", ledger),
        ProcessWindows(ledger, (), complete=pick(BOTH)),
        slab=pick((None, {}, {"dentry": 5 * MIB, "kmalloc-64": 700 * MIB, "a": 1, "b": 2})),
        slab_error=pick(("", "/proc/slabinfo: Permission denied")),
        holders=pick((None, _holders(pick), _holders(pick))),
        holders_error=pick(("", "the scan did not end in time")),
        dying_cgroups=pick((None, 0, 3000)),
        pressed_protocols=pick(((), ("TCP",), ("TCP", "UDP"))),
    )
    analysis = MemoryAnalysis(
        reading,
        _growth(pick),
        before,
        slab_growth=pick((None, {}, {"dentry": 500 * MIB, "kmalloc\n64": 3 * MIB}, {"dentry": 2 * MIB})),
        new_modules=pick((frozenset(), frozenset({"nf_tables", "ena"}))),
        processes=processes,
    )
    settings = MemorySettings(available_percent=pick((0.0, 3.0, 50.0)), critical_within=Duration(pick((60.0, 7200.0))))
    return analysis, settings


def _growth(pick: Pick) -> Growth:
    return Growth(pick(RATES), 1.0, pick((0.0, 300.0, 43200.0)), pick(("", "fast", "days")))


def _holders(pick: Pick) -> dict[str, Any]:
    def rows(*names: str, **more: Any) -> list[dict[str, Any]]:
        return [
            {"pid": pick((0, 7, 1234)), "comm": name, "unit": pick(("", "logstash.service", "u" * 90)), **more}
            for name in some(pick, names)
        ]

    size = pick((3, 5000, 700 * MIB))
    sockets = {"bytes": pick((832, MIB, 900 * MIB, 2 * GIB)), "sockets": pick((1, 400)), "peer": pick(("", "10.0.3.9:5044"))}
    return {
        "holders": rows("java\n", "nginx", **sockets, unread=pick((0, 500 * MIB, 2 * GIB))),
        "sockets": {"seen": 401, "bytes": pick((0, 900 * MIB)), "counted": pick((MIB, 900 * MIB))},
        "own": rows("postgres", "java", "a", "b", size=size, swapped=pick((0, 64 * MIB)), began=1795284628),
        "page_tables": rows("postgres", size=size),
        "threads": rows("java", size=size),
        "pipes": rows("sh", size=size),
        "files": rows("node", size=size, kind="anon_inode:[eventpoll]"),
        "hidden": pick((0, 12)),
        "processes": pick((0, 200)),
        "hidepid": pick(BOTH),
        "truncated": pick(([], ["sockets after 50000", "files"])),
    }


def grown(pick: Pick, growth: Callable[..., Growth]) -> list[Any]:
    """Return the growth of a series of some shape, over minutes and over days."""
    day = pick((0.0, 0.002, 0.02))
    rate = pick((0.0, 1e-4, 4e-4, 1e-3, 4e-3, 0.02, 0.05))
    slowing, noise, step = pick((0.0, 0.0, 1.0)), pick((0.0, 5e-5, 1e-3)), pick((0.0, 0.0, 0.01))
    dice = [pick(range(-1000, 1001)) / 1000 for _ in range(SLOW)]

    def shape(days: float, number: int) -> int:
        trend = rate * (1 - math.exp(-3 * days)) if slowing else rate * days
        return int(TOTAL * (0.03 + trend + day * math.sin(2 * math.pi * days) + noise * dice[number % SLOW] + step * (days > 1)))

    quarters = int(pick((0.3, 0.6, 1.2, 2.0, 3.5, 6.2)) * DAY)
    slow = tuple(Point(i * QUARTER, shape(i / DAY, i)) for i in range(quarters))[-SLOW:]
    if pick((0, 0, 0, 1)):
        slow = slow[: quarters // 2] + tuple(point._replace(at=point.at + 5 * QUARTER) for point in slow[quarters // 2 :])
    speed = pick((1.0, 1.0, 20.0, 300.0))
    start, interval = slow[-1].at + 1 if slow else 0.0, pick((5.0, 30.0, 30.0, 600.0))
    window = replace(Window(slow=slow), lowest=None)
    for i in range(pick((1, 7, 60, 240))):
        after = i * interval / 86400
        window = window.add(Point(start + i * interval, shape(slow[-1].at / 86400 if slow else 0.0, i) + int(TOTAL * rate * speed * after)))
    found = growth(window, TOTAL, pick((GIB, 9 * GIB)), pick((1.0, 4.0, 1000.0)))
    return [found.slope, found.lower, found.span, found.method, found.exhaustion(GIB)]

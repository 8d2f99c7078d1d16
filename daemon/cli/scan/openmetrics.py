"""The past as OpenMetrics with timestamps, for `promtool tsdb create-blocks-from openmetrics`."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from collectors.logs.scan.history import FOLDED
from exporters.prometheus.exposition.labels import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.logs.scan.history import EventHistory

STEP = 60  # seconds: the scrape interval that the past is written in
MAX_HOSTS = 1000  # label values; what comes after them is "other"
_NAME = "vitald_log_events"


def lines(history: EventHistory) -> Iterator[str]:
    """Give the exposition, a line at a time. Each series stands at 0 a step before its first event, and rises at the steps that had any.

    A flat stretch has a sample at its start and its end only, so that years of logs stay small.
    """
    yield f"# HELP {_NAME} Log lines of a signature, from old logs.\n# TYPE {_NAME} counter\n"
    for (signature, host), steps in sorted(_steps(history).items()):
        labels = f'signature="{_escape(signature)}",host="{_escape(host)}"'
        total, last = 0, None
        for step in sorted(steps):
            if last is None or last < step - STEP:
                yield f"{_NAME}_total{{{labels}}} {total} {step - STEP}\n"
            total += steps[step]
            yield f"{_NAME}_total{{{labels}}} {total} {step}\n"
            last = step
    yield "# EOF\n"


def _steps(history: EventHistory) -> dict[tuple[str, str], dict[int, int]]:
    """Count events by series and by the step they are first seen at."""
    found: dict[tuple[str, str], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    hosts: set[str] = set()
    for at, key, times in history.events():
        host = clean(key.host)
        if host == FOLDED or (host not in hosts and len(hosts) >= MAX_HOSTS):
            host = "other"
        hosts.add(host)
        found[key.signature, host][-int(-at // STEP) * STEP] += times
    return found


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

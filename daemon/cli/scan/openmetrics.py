"""Output as OpenMetrics with timestamps, for `promtool tsdb create-blocks-from openmetrics`."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from collectors.logs.scan.history import FOLDED
from exporters.prometheus.exposition.labels import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.logs.scan.history import EventHistory

STEP = 60  # seconds between samples, as a scrape interval
MAX_HOSTS = 1000  # label values; further ones become "other"
_NAME = "vitald_log_events"


def lines(history: EventHistory) -> Iterator[str]:
    """Yield the exposition, a line at a time. Each series is 0 one step before its first event and increases at each step with events.

    Between steps with events there are no samples, so that years of logs stay small.
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
    """Return the number of events by series and by the step at which a scrape would first see them."""
    series: dict[tuple[str, str], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    hosts: set[str] = set()
    for at, key, times in history.events():
        host = clean(key.host)
        if host == FOLDED or (host not in hosts and len(hosts) >= MAX_HOSTS):
            host = "other"
        hosts.add(host)
        series[key.signature, host][-int(-at // STEP) * STEP] += times
    return series


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

"""Pace of the changes in a soak, and the samples taken."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """How often things happen, in seconds; `settings` are the daemon's."""

    scrape: float = 1.0
    rotate: float = 10.0
    targets: float = 7.0
    links: float = 5.0
    reload: float = 60.0
    sample: float = 1.0
    settings: str = ""


QUICK = Pace(
    scrape=0.05,
    rotate=0.5,
    targets=0.2,
    links=0.2,
    reload=1.0,
    sample=0.5,
    settings='interval = "200ms"\ntimeout = "100ms"\n[nic]\ninterval = "200ms"\nfull_scan_interval = "5s"\n[dhcp]\ninterval = "200ms"\n'
    '[memory]\ninterval = "200ms"\n[host]\ninterval = "1s"\n[logs]\ninterval = "200ms"\n',
)


@dataclass(frozen=True)
class Sample:
    """Sample of the daemon: resident bytes, open descriptors, threads, series on its page."""

    at: float
    rss: int
    descriptors: int
    threads: int
    series: int

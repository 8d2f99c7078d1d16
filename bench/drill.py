"""Drills: make a fault in a fleet of real parts, wait for the page, mend it, wait for the resolution; a row each. `make drill`.

`DRILLS="port closed,agent killed" make drill` runs some of them. To add one: a `Drill` in the table below.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from bench.__main__ import RESULTS, show
from bench.drill_lab import APP, Lab
from bench.drill_watch import Watch
from bench.program import BenchError
from bench.results import Results, Row, lines, machine, now

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.drill_watch import Notice

_ISSUE = 7  # not ISSUE: this takes an hour, and is no part of `make bench`
MARGIN = 30.0  # seconds from the fault to the page, beside the alert's own `for:`
RULES = Path(__file__).parents[1] / "exporters/prometheus/rules"


@dataclass(frozen=True)
class Drill:
    """A fault: how it is made and mended, on which host's metrics page it shows and as what, and which alert tells people.

    `waits` are seconds that the alert waits beside its `for:`, with the reason: a recording rule's window, an agent's own count.
    `quiet` is how long the resolution may take.
    """

    name: str
    alert: str
    make: Callable[[Lab], object]
    mend: Callable[[Lab], object]
    shows_on: str = ""
    shows_as: str = ""
    waits: float = 0.0
    why: str = ""
    patience: float = 300.0


def _nft(lab: Lab, host: str, rule: str) -> None:
    lab.hosts[host].network.run(
        "nft", "-f", "-", text=f"table ip drill {{ chain input {{ type filter hook input priority 0; {rule}; }}; }}"
    )


def _undo_nft(lab: Lab, host: str) -> None:
    lab.hosts[host].network.run("nft", "delete", "table", "ip", "drill")


DRILLS = (
    Drill(
        "port closed",
        "TargetDown",
        lambda lab: lab.hosts["b1"].app.close(),
        lambda lab: lab.hosts["b1"].app.start(),
        "a1",
        rf'vitald_health{{check="tcp_probe",subject="10\.95\.2\.1:{APP}"}} [12]',
        90,
        "blame.yml looks at 2 min of probes, every 30 s",
    ),
    Drill(
        "host unreachable",
        "HostDown",
        lambda lab: lab.hub.run("ip", "link", "set", lab.hosts["b2"].wire, "down"),
        lambda lab: lab.hub.run("ip", "link", "set", lab.hosts["b2"].wire, "up"),
        "a1",
        r'vitald_health{check="tcp_probe",subject="10\.95\.2\.2:7000"} [12]',
        90,
        "blame.yml looks at 2 min of probes, every 30 s",
    ),
    Drill(
        "agent killed",
        "AgentGone",
        lambda lab: lab.hosts["a2"].kill(),
        lambda lab: lab.hosts["a2"].start(),
    ),
    Drill(
        "agent frozen",
        "AgentGone",
        lambda lab: lab.hosts["a3"].signal(signal.SIGSTOP),
        lambda lab: lab.hosts["a3"].signal(signal.SIGCONT),
        waits=10,
        why="a scrape that hangs is given up after 10 s",
    ),
    Drill(
        "5 % SYN loss",
        "TargetLossy",
        lambda lab: _nft(lab, "b1", f"tcp dport {APP} tcp flags syn numgen random mod 100 < 5 drop"),
        lambda lab: _undo_nft(lab, "b1"),
        "a1",
        rf'vitald_probe_syn_retransmits_total{{.*target="10\.95\.2\.1:{APP}".*}} [1-9]',
        600,
        "TargetLossy looks at 15 min, and a few lost SYNs must come together first",
        patience=1500,
    ),
)


def main() -> int:
    """Run the drills one after the other in one fleet; each row is written as soon as it is known. The status is 1 if a bar was missed."""
    wanted = [name.strip() for name in os.environ.get("DRILLS", "").split(",") if name.strip()]
    if unknown := set(wanted) - {drill.name for drill in DRILLS}:
        names = ", ".join(drill.name for drill in DRILLS)
        print(f"DRILLS: there is no {', '.join(sorted(unknown))}; there are {names}", file=sys.stderr)
        return 2
    run, about, missed = now(), machine("make drill" + (f" DRILLS={','.join(wanted)!r}" if wanted else "")), False
    with tempfile.TemporaryDirectory(prefix="vitald-drill-") as folder, Lab(Path(folder)) as lab, Watch(lab) as watch:
        for drill in DRILLS:
            if not wanted or drill.name in wanted:
                watch.settle()
                row = _run(drill, lab, watch)
                missed |= row.met is False
                (line,) = lines(f"drill {drill.name}", [row], run)
                show(line)
                RESULTS.write_text(Results.read(RESULTS).replaced(_ISSUE, line.bench, [line], run, about).text())
    return int(missed)


def _run(drill: Drill, lab: Lab, watch: Watch) -> Row:
    """Run one; a page that never came is a missed bar."""
    try:
        return _drill(drill, lab, watch)
    except BenchError as error:
        return Row("from fault to page", "a page", "-", "-", "-", met=False, reason=" ".join(str(error).replace("|", "/").split()))


def _drill(drill: Drill, lab: Lab, watch: Watch) -> Row:
    """Run one: the row says how long each step took, and who else was told."""
    seen = len(watch.pager.notices)
    bar = _for(drill.alert) + drill.waits + MARGIN
    start = time.time()
    drill.make(lab)
    try:
        shown = _until(lambda: _shows(drill, lab), 120) - start if drill.shows_on else None
        page = _notice(watch, seen, drill.alert, resolved=False, seconds=bar + drill.patience)
    finally:
        mended = time.time()
        drill.mend(lab)
    over = _notice(watch, seen, drill.alert, resolved=True, seconds=drill.patience + 600)
    notices = watch.pager.notices[seen:]
    told = {notice.group for notice in notices if notice.receiver == page.receiver and not notice.resolved}
    others = sorted({f"{notice.alert} ({notice.receiver})" for notice in notices if notice.alert != drill.alert and not notice.resolved})
    took = page.at - start
    metrics = f"/metrics {shown:.1f} s, " if shown is not None else ""
    problems = [drill.why] if drill.why else []
    problems += [f"{len(told)} incidents"] if len(told) > 1 else []
    return Row(
        "from fault to page",
        f"page ≤ {bar:.0f} s, 1 incident",
        f"{metrics}{drill.alert} ({page.receiver}) {took:.1f} s, resolved {over.at - mended:.1f} s after the mend",
        f"also: {', '.join(others) or 'nothing'}",
        "-",
        took <= bar and len(told) == 1,
        "; ".join(problems),
    )


def _shows(drill: Drill, lab: Lab) -> bool:
    return any(re.match(drill.shows_as, line) for line in lab.hosts[drill.shows_on].metrics())


def _until(condition: Callable[[], bool], seconds: float) -> float:
    deadline = time.time() + seconds
    while not condition():
        if time.time() > deadline:
            raise BenchError("the fault never showed on the metrics page")
        time.sleep(0.1)
    return time.time()


def _notice(watch: Watch, since: int, alert: str, *, resolved: bool, seconds: float) -> Notice:
    deadline = time.monotonic() + seconds
    while True:
        found = [notice for notice in watch.pager.notices[since:] if notice.alert == alert and notice.resolved == resolved]
        if found:
            return found[0]
        if time.monotonic() > deadline:
            told = ", ".join(notice.alert for notice in watch.pager.notices[since:]) or "nothing"
            msg = f"no {'end of' if resolved else ''} {alert} within {seconds:.0f} s; told was {told}; firing: {', '.join(watch.firing())}"
            raise BenchError(msg)
        time.sleep(0.1)


def _for(alert: str) -> float:
    units = {"s": 1, "m": 60, "h": 3600}
    for file in RULES.glob("*.yml"):
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                if rule.get("alert") == alert:
                    return float(sum(int(count) * units[unit] for count, unit in re.findall(r"(\d+)([smh])", rule["for"])))
    raise BenchError(f"there is no alert {alert}")


if __name__ == "__main__":
    sys.exit(main())

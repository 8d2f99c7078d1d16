"""Drills: make a fault in a fleet of real parts, wait for the page, repair it, wait for the resolution; one row each. `make drill`.

`DRILLS="port closed,agent killed" make drill` runs some of them. To add one: a `Drill` in the table of faults.py.
"""

from __future__ import annotations

import fcntl
import os
import re
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.drills.dashboard import dashboard
from tests.drills.faults import DRILLS
from tests.drills.lab import Lab
from tests.drills.quiet import quiet
from tests.drills.watch import Watch
from tests.kit.leaks import alone
from tests.kit.program import BenchError
from tests.kit.results import RESULTS, Results, Row, lines, machine, now, show

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.drills.faults import Drill
    from tests.drills.watch import Notice

_ISSUE = 7  # not ISSUE: this takes two hours, and is no part of `make bench`
QUIET, DASHBOARD = "quiet half hour", "dashboard"
_MINUTES = float(os.environ.get("VITALD_DRILL_MINUTES", "30"))
MARGIN = 30.0  # seconds from the fault to the page, beside the alert's own `for:`
RULES = Path(__file__).parents[2] / "exporters/prometheus/rules"


def main() -> int:
    """Run the drills one after the other in one fleet; each row is written as soon as it is known. The status is 1 if a bar was missed."""
    known = [*(drill.name for drill in DRILLS), DASHBOARD, QUIET]
    wanted = [name.strip() for name in os.environ.get("DRILLS", "").split(",") if name.strip()]
    if unknown := set(wanted) - set(known):
        print(f"DRILLS: there is no {', '.join(sorted(unknown))}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    run, about, missed = now(), machine("make drill" + (f" DRILLS={','.join(wanted)!r}" if wanted else "")), False
    for name in wanted or known:
        row = _in_its_own_fleet(name)
        missed |= row.met is False
        (line,) = lines(f"drill {name}", [row], run)
        show(line)
        with RESULTS.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # two of us may run at a time
            RESULTS.write_text(Results.read(RESULTS).replaced(_ISSUE, line.bench, [line], run, about).text())
    return int(missed)


def _in_its_own_fleet(name: str) -> Row:
    """Run one in a fleet of its own: an earlier fault would still be in the windows of the rules."""
    drill = next((drill for drill in DRILLS if drill.name == name), None)
    with ExitStack() as stack:
        if drill is not None and drill.needs == "memory":
            stack.enter_context(alone())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vitald-drill-"))
        lab = stack.enter_context(Lab(Path(folder), drill.settings if drill else ""))
        watch = stack.enter_context(Watch(lab))
        try:
            watch.settle()
            if drill is not None:
                return _drill(drill, lab, watch)
            return dashboard(lab, watch) if name == DASHBOARD else quiet(lab, watch, _MINUTES)
        except BenchError as error:
            return Row("from fault to page", "a page", "-", "-", "-", met=False, reason=" ".join(str(error).replace("|", "/").split()))


def _drill(drill: Drill, lab: Lab, watch: Watch) -> Row:
    """Run one; the row has the duration of each step and the other notifications."""
    seen = len(watch.pager.notices)
    bar = _for(drill.alert) + drill.waits + MARGIN
    start = time.time()
    drill.make(lab)
    try:
        shown = _until(lambda: _shows(drill, lab), drill.patience) - start if drill.shows_on else None
        page = _notice(watch, seen, drill.alert, resolved=False, seconds=bar + drill.patience)
    finally:
        repaired = time.time()
        drill.repair(lab)
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
        f"{metrics}{drill.alert} ({page.receiver}) {took:.1f} s, resolved {over.at - repaired:.1f} s after the repair",
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

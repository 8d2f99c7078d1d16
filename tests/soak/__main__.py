"""Runs the soak and writes its rows into bench/RESULTS.md: `VITALD_BENCH_MINUTES=30 make soak`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.kit.figures import per_minute, second_half, theil_sen
from tests.kit.results import RESULTS, Results, Row, lines, machine, now, show
from tests.soak.pace import Pace
from tests.soak.soak import MOST_DESCRIPTORS, MOST_GROWTH, MOST_SERIES, MOST_THREADS, Soak, grown

_ISSUE = 7
_MINUTES = float(os.environ.get("VITALD_BENCH_MINUTES", "30"))


def measure(folder: Path) -> list[Row]:
    """Soak for `VITALD_BENCH_MINUTES`; return one row per quantity that must stay constant."""
    with Soak(folder, Pace()) as soak:
        samples = soak.run(_MINUTES * 60)
    half = samples[len(samples) // 2 :]
    slope = theil_sen(second_half([(sample.at, float(sample.rss)) for sample in samples]))
    more = grown(half, "rss")
    what = f"{_MINUTES:g} min, {soak.scrapes} scrapes, {soak.life.rotations} rotations, {soak.life.changes} changes of targets and links"
    rows = [
        Row(
            f"resident memory in the second half; {what}",
            f"no slope, or ≤ {MOST_GROWTH >> 10} KiB",
            f"{per_minute(slope)}; {more / 1e3:+.0f} KB, {half[-1].rss / 1e6:.1f} MB at the end",
            "-",
            "-",
            slope.flat or more <= MOST_GROWTH,
        )
    ]
    for name, bound in (("descriptors", MOST_DESCRIPTORS), ("threads", MOST_THREADS), ("series", MOST_SERIES * half[0].series)):
        more = grown(half, name)
        values = [getattr(sample, name) for sample in half]
        rows.append(Row(name, f"≤ +{bound:.0f}", f"{more:+.0f} ({min(values)} to {max(values)})", "-", "-", more <= bound))
    return rows


def main() -> int:
    """Run, print and store the rows; the exit status is 1 if a bar was missed."""
    run, about = now(), machine(f"VITALD_BENCH_MINUTES={_MINUTES:g} make soak")
    with tempfile.TemporaryDirectory(prefix="vitald-soak-") as folder:
        rows = measure(Path(folder))
    found = lines("soak", rows, run)
    for line in found:
        show(line)
    RESULTS.write_text(Results.read(RESULTS).replaced(_ISSUE, "soak", found, run, about).text())
    return int(any(row.met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())

"""A soak: what the daemon has must not grow, whatever happens around it, however often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.soak.pace import QUICK
from tests.soak.soak import MOST_DESCRIPTORS, MOST_SERIES, MOST_THREADS, Soak, grown

if TYPE_CHECKING:
    from pathlib import Path

WARM, SECONDS = 60.0, 60.0  # seconds; the warm-up fills every window of the collectors, and lets go of the first rotated files
MOST_MEMORY = 512 << 10  # bytes more at the end; one kilobyte kept of each link or target that went would be twice as much

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "unshare")]


@pytest.mark.timeout(240)
@pytest.mark.fault(52)
def test_memory_descriptors_threads_and_series_are_flat_while_all_around_it_changes(tmp_path: Path) -> None:
    with Soak(tmp_path, QUICK) as soak:
        soak.run(WARM)
        samples = soak.run(SECONDS)
        assert soak.scrapes > 200  # of 2,400 on a quick machine
        assert soak.life.rotations > 50
        assert soak.life.changes > 100
    assert grown(samples, "rss") <= MOST_MEMORY, [sample.rss for sample in samples[:: len(samples) // 20]]
    assert grown(samples, "descriptors") <= MOST_DESCRIPTORS, [sample.descriptors for sample in samples[:: len(samples) // 20]]
    assert grown(samples, "threads") <= MOST_THREADS, [sample.threads for sample in samples[:: len(samples) // 20]]
    assert grown(samples, "series") <= MOST_SERIES * samples[-1].series, [sample.series for sample in samples[:: len(samples) // 20]]
    assert "Traceback" not in (tmp_path / "log").read_text()

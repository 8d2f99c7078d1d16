"""Panel of the log sources: a loss of messages is a warning on the page for an hour."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from collectors.logs import clock
from collectors.logs.collector import LogsCollector
from collectors.logs.panels import LOSSES, MAX_LAG_BYTES
from collectors.logs.settings import LogSettings
from collectors.logs.sources import file_source, journal_source, kernel_source
from collectors.logs.sources.event import SourceStats
from tests.collectors.logs.lines import TIMEOUT, record

if TYPE_CHECKING:
    from collectors.logs.reading import LogsReading
    from tests.collectors.logs.conftest import LogsLab


def warnings(reading: LogsReading) -> tuple[str, ...]:
    (panel,) = LogsCollector.show([reading], LogSettings())
    return panel.warnings


@pytest.mark.fault(10)
def test_a_loss_is_shown_for_an_hour(lab: LogsLab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write(record(5, "first"), record(6, TIMEOUT), to="kmsg")
    lab.open(kmsg=str(lab.folder / "kmsg"))
    assert warnings(lab.read()) == ()
    lab.write(record(9, TIMEOUT), to="kmsg")
    (shown,) = warnings(lab.read())
    assert "kmsg: 2 records overwritten in the kernel's buffer before they were read (overrun), last at 20" in shown
    at = clock.now()
    monkeypatch.setattr(clock, "now", lambda: clock.Timestamp(at.wall, at.boottime + 3500))
    assert warnings(lab.read()) == (shown,)
    monkeypatch.setattr(clock, "now", lambda: clock.Timestamp(at.wall, at.boottime + 3700))
    assert warnings(lab.read()) == ()
    assert lab.lost() == {("kmsg", "overrun"): 2}, "the counter stays"


def test_a_source_far_behind_and_invalid_packs_are_shown(lab: LogsLab) -> None:
    reading = lab.read()
    behind = replace(reading, stats=(SourceStats("/var/log/syslog", 1, 1, MAX_LAG_BYTES + 1),), packs_valid=False)
    assert [line.partition(":")[0] for line in warnings(behind)] == [
        "log source behind",
        "signature packs on disk are invalid, the previous ones are in use; run vitald check-config",
    ]
    assert warnings(replace(reading, stats=(SourceStats("/var/log/syslog", 1, 1, MAX_LAG_BYTES),))) == ()


def test_every_reason_of_a_loss_has_its_words() -> None:
    reasons = {*kernel_source.LOSS_REASONS, *journal_source.LOSS_REASONS, *file_source.LOSS_REASONS, file_source.TOO_MANY}
    assert reasons <= LOSSES.keys()

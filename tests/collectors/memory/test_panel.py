from dataclasses import replace

from collectors.memory import trend
from collectors.memory.panel import ledger
from collectors.memory.reading import Reading
from collectors.memory.window import Point, Window
from collectors.panel import Trace
from tests.collectors.memory.hosts import books

GIB = 1 << 30


def reading_of(host: str) -> Reading:
    return Reading(0.0, 0.0, books(host), trend.plain(Window()), {})


def test_the_bar_adds_up_to_all_memory() -> None:
    reading: Reading = reading_of("vm-6.18")
    panel = ledger(reading)
    assert abs(sum(share.value for share in panel.shares) - reading.ledger.total) < reading.ledger.total * 0.01
    assert [share.name for share in panel.shares] == ["user", "held by the kernel", "set aside", "reclaimable", "free"]


def test_the_course_is_drawn_once_there_are_two_points() -> None:
    reading = reading_of("vm-6.18")
    assert ledger(reading).rows == ()
    window = Window(fast=tuple(Point(30.0 * n, GIB + n * 1000) for n in range(120)))
    (row,) = ledger(replace(reading, window=window)).rows
    assert row[:3] == ("over 60 minutes", "1.0 GB", "1.0 GB")
    assert isinstance(row[3], Trace)
    assert len(row[3].values) == 120


def test_a_holder_with_an_odd_name_stays_on_its_line() -> None:
    one = {"comm": "ja\nva", "pid": 7, "unit": "", "peer": "", "bytes": 2 * GIB, "sockets": 400, "unread": 0}
    found = {"holders": [one], "page_tables": [], "threads": [], "pipes": [], "files": [], "hidden": 0, "truncated": []}
    notes = ledger(replace(reading_of("vm-6.18"), holders=found)).notes
    assert any("pid 7: 2.0 GB in 400 sockets" in note for note in notes)
    assert not any("\n" in note for note in notes)

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.kit.results import Results, Row, lines

if TYPE_CHECKING:
    from pathlib import Path

GOOD = Row("CPU", "≤ 1/6", "20 µs", "blackbox 265 µs", "1/13.2", met=True)
MISSED = Row("RTT", "≤ 1/20", "9 ms", "blackbox 10 ms", "1/1.1", met=False, reason="it was slow")


def test_a_bench_that_was_not_run_keeps_its_rows_and_their_run(tmp_path: Path) -> None:
    file = tmp_path / "RESULTS.md"
    file.write_text(Results.read(file).replaced(2, "cpu", lines("cpu", [GOOD], "monday"), "monday", "machine A").text())
    file.write_text(Results.read(file).replaced(2, "rtt", lines("rtt", [MISSED], "tuesday"), "tuesday", "machine B; `make bench`").text())
    read = Results.read(file)
    assert [(line.bench, line.run, line.verdict) for line in read.issues[2]] == [
        ("cpu", "monday", "met"),
        ("rtt", "tuesday", "**MISSED**: it was slow"),
    ]
    assert read.runs == {"monday": "machine A", "tuesday": "machine B; `make bench`"}
    assert read.text() == file.read_text()


def test_a_bench_that_was_run_again_takes_the_place_of_its_old_rows(tmp_path: Path) -> None:
    file = tmp_path / "RESULTS.md"
    first = Results({}, {})
    for name in ("cpu", "rtt"):
        first = first.replaced(2, name, lines(name, [GOOD, GOOD], "monday"), "monday", "machine A")
    file.write_text(first.replaced(3, "logs", lines("logs", [GOOD], "monday"), "monday", "machine A").text())
    again = Results.read(file).replaced(2, "cpu", lines("cpu", [MISSED], "tuesday"), "tuesday", "machine B")
    assert [(line.bench, line.run) for line in again.issues[2]] == [("cpu", "tuesday"), ("rtt", "monday"), ("rtt", "monday")]
    assert set(again.issues) == {2, 3}


def test_a_run_that_no_row_names_is_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "RESULTS.md"
    file.write_text(Results.read(file).replaced(2, "cpu", lines("cpu", [GOOD], "monday"), "monday", "machine A").text())
    assert Results.read(file).replaced(2, "cpu", lines("cpu", [GOOD], "tuesday"), "tuesday", "machine B").runs == {"tuesday": "machine B"}

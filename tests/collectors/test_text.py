"""Formatting of untrusted text, times and durations."""

from __future__ import annotations

import math

import pytest

from collectors.text import ISO, LONG, printable, span, two_units, utc


def test_unprintable_characters_are_escaped() -> None:
    assert printable("eth0 \x1b[2J\n\u202e ü") == "eth0 \\x1b[2J\\n\\u202e ü"


def test_times_have_a_display_and_an_iso_format() -> None:
    assert utc(0) == "1970-01-01 00:00:00 UTC"
    assert utc(1_794_000_000.9, ISO) == "2026-11-06T21:20:00Z"


@pytest.mark.fault(40)
@pytest.mark.parametrize("at", [1e30, -1e30, math.inf, math.nan])
def test_a_time_out_of_range_is_a_number(at: float) -> None:
    assert utc(at) == f"Unix time {at:.0f}"


def test_a_span_has_one_unit() -> None:
    said = [span(seconds) for seconds in (-5.0, 40.0, 1260.0, 7200.0, 9000.0, 200_000.0)]
    assert said == ["0 s", "40 s", "21 min", "2 h", "2.5 h", "2.3 d"]
    assert [span(seconds, LONG) for seconds in (40.0, 7200.0, 200_000.0)] == ["40 seconds", "2 hours", "2 days"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (59.6, "1m"), (3600, "1h"), (351, "5m 51s"), (12_000, "3h 20m"), (1_766_000, "20d 10h"), (-5, "-5s")],
)
def test_spans_that_are_compared_have_two_units(seconds: float, text: str) -> None:
    assert two_units(seconds) == text
    assert two_units(seconds, "") == text.replace(" ", "")

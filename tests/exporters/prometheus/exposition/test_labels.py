"""Cleaning of label values."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.prometheus.exposition.labels import LIMIT, clean

HOSTILE = {
    "a usual one, 10.0.0.5:22": "a usual one, 10.0.0.5:22",
    "Gerät — 設備": "Gerät — 設備",
    'quote " and back\\slash': 'quote " and back\\slash',
    "lone \ud800 surrogate": r"lone \ud800 surrogate",
    os.fsdecode(b"not utf-8 \xff\xc3"): r"not utf-8 \xff\xc3",
    "nul \0, bell \a, newline \n, return \r": r"nul \x00, bell \x07, newline \n, return \r",
    "line \u2028 and paragraph \u2029": r"line \u2028 and paragraph \u2029",
    "right to left \u202e": r"right to left \u202e",
    "private \U0010ffff": r"private \U0010ffff",
}


@pytest.mark.fault(6)
@pytest.mark.parametrize(("hostile", "cleaned"), HOSTILE.items(), ids=ascii)
def test_unprintable_characters_are_escaped(hostile: str, cleaned: str) -> None:
    assert clean(hostile) == cleaned


@pytest.mark.fault(6)
def test_long_values_are_cut_and_stay_different() -> None:
    ones = {clean("x" * 100_000 + end) for end in "abc"} | {clean("\0" * 200), clean("\0" * 201)}
    assert len(ones) == 5
    assert max(map(len, ones)) == LIMIT


@given(st.text(st.characters(exclude_categories=()), max_size=LIMIT + 50))
def test_every_value_becomes_valid_utf8_of_one_line_and_stays_so(value: str) -> None:
    cleaned = clean(value)
    cleaned.encode()
    assert len(cleaned) <= LIMIT
    assert cleaned.isprintable()
    assert clean(cleaned) == cleaned


@given(st.text(st.characters(exclude_characters="\\…~")), st.text(st.characters(exclude_characters="\\…~")))
def test_different_values_stay_different(one: str, two: str) -> None:
    assert (clean(one) == clean(two)) == (one == two)

"""Parsers of kernel records and journal entries: any input is parsed or rejected."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.logs.sources import journal_entry, kmsg


@pytest.mark.fault(55)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_kernel_record_or_none(raw: bytes) -> None:
    for text in (raw, b"6,1,2,-;" + raw, b"6,1,2,-,caller=T1;" + raw):
        record = kmsg.parse(text)
        assert record is None or b"\n" not in record.text


@pytest.mark.fault(55)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=10,
    )
)
def test_any_json_is_an_entry_or_none(value: object) -> None:
    for fields in (value, {"MESSAGE": value, "__REALTIME_TIMESTAMP": "1"}, {"MESSAGE": "x", "__REALTIME_TIMESTAMP": value, "_UID": value}):
        try:
            line = msgspec.json.encode(fields)
        except (ValueError, OverflowError):
            continue
        entry = journal_entry.parse(line)
        assert entry is None or b"\n" not in entry.message


@pytest.mark.fault(55)
@given(st.binary(max_size=200))
def test_any_bytes_are_an_entry_or_none(raw: bytes) -> None:
    journal_entry.parse(raw)

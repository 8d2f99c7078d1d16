"""Content negotiation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.prometheus.exposition.negotiation import accepts_gzip, negotiate_format

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", TEXT),
        ("image/png", TEXT),
        (PROMETHEUS_2, OPENMETRICS + "; escaping=underscores"),
        (PROMETHEUS_3, OPENMETRICS + "; escaping=allow-utf-8"),
        ("application/openmetrics-text", OPENMETRICS),
        ("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.1", TEXT),
        ("application/openmetrics-text;version=1.0.0;q=0,text/plain", TEXT),
        ("application/openmetrics-text;version=2.0.0", TEXT),
        ("application/openmetrics-text;version=x", TEXT),
        ("text/plain;version=1.0.0;escaping=allow-utf-8", "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"),
        ("text/plain;version=banana", TEXT),
        (";;;,,q=;version", TEXT),
    ],
)
def test_the_format_is_the_one_the_client_prefers(accept: str, content_type: str) -> None:
    assert negotiate_format(accept).content_type == content_type


@pytest.mark.parametrize(
    ("header", "accepted"),
    [("gzip", True), ("deflate, GZIP;q=0.5", True), ("", False), ("identity", False), ("gzip;q=0", False), ("*", True), ("*;q=0.0", False)],
)
def test_gzip_is_used_only_where_it_is_accepted(header: str, accepted: bool) -> None:  # noqa: FBT001
    assert accepts_gzip(header) is accepted


@pytest.mark.fault(55)
@given(st.text(max_size=2000) | st.lists(st.sampled_from([*PROMETHEUS_3, "q=", "²", "٣", ";", ",", "text/plain"])).map("".join))
def test_no_header_breaks_the_choice(header: str) -> None:
    assert negotiate_format(header).content_type
    accepts_gzip(header)

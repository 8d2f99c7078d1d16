"""Counters: ethtool statistics, /proc/net/snmp and netstat, and increases between two reads."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.nic.readers.counters import increase
from collectors.nic.readers.recorded_ethtool import parse_driver, parse_features, parse_statistics
from collectors.nic.readers.tcp_counters import TcpCounters, parse_tcp, read_tcp


@given(st.text(max_size=400))
def test_any_text_is_parsed(text: str) -> None:
    parse_driver(text)
    parse_features(text)
    parse_statistics(text)
    parse_tcp(text)


@pytest.mark.fault(36)
def test_tcp_columns_are_found_by_name() -> None:
    assert parse_tcp("Tcp: New RetransSegs OutSegs\nTcp: 9 3 50\n") == TcpCounters(out_segs=50, retrans_segs=3)
    assert parse_tcp("Tcp: OutSegs\nTcp: 50\n") is None
    assert parse_tcp("Tcp: OutSegs\n") is None
    assert parse_tcp("") is None


@pytest.mark.fault(27)
@pytest.mark.parametrize("value", ["--5", "9" * 5000, "٣", "1_000", "+7"])
def test_a_value_that_is_no_counter_is_left_out(value: str) -> None:
    assert parse_tcp(f"Tcp: OutSegs RetransSegs ActiveOpens\nTcp: 50 3 {value}\n") == TcpCounters(50, 3)


def test_a_counter_that_restarts_makes_no_negative_rate() -> None:
    assert increase({"bw_in": 11_072, "pps": 5}, {"bw_in": 3, "pps": 5}) == {"bw_in": 3}
    assert increase({}, {"bw_in": 11_072}) == {}


@pytest.mark.fault(33)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=9))
def test_no_increase_is_negative(values: list[int]) -> None:
    for before, after in itertools.pairwise(values):
        assert all(growth > 0 for growth in increase({"x": before}, {"x": after}).values())


SNMP = "Tcp: RtoAlgorithm MaxConn ActiveOpens OutSegs RetransSegs\nTcp: 1 -1 7 50 3\nUdp: A\nUdp: 1\n"
NETSTAT = "TcpExt: SyncookiesSent TCPSynRetrans Future\nTcpExt: 0 2 9\nIpExt: InNoRoutes\nIpExt: 0\n"


@pytest.mark.fault(36)
@pytest.mark.parametrize(
    ("snmp", "netstat", "expected"),
    [
        (SNMP, NETSTAT, TcpCounters(50, 3, 7, 2)),
        (SNMP, "", TcpCounters(50, 3, 7, 0)),  # a kernel, or a container, without it
        ("Tcp: New RetransSegs OutSegs\nTcp: 9 3 50\n", NETSTAT, TcpCounters(50, 3, 0, 2)),
        (SNMP, "TcpExt: TCPSynRetrans\n", TcpCounters(50, 3, 7, 0)),
        ("Tcp: OutSegs Future RetransSegs\nTcp: 5 7\n", NETSTAT, None),
        ("Tcp: OutSegs RetransSegs\n", "", None),
        ("Tcp: OutSegs RetransSegs\nTcp: x \u00b2\n", "", None),
        ("", "", None),
    ],
)
def test_the_kernels_tables_are_parsed_by_name(snmp: str, netstat: str, expected: TcpCounters | None) -> None:
    assert parse_tcp(snmp, netstat) == expected


def test_this_kernels_tables_are_read() -> None:
    tcp = read_tcp(Path("/proc"))
    assert tcp is not None
    assert tcp.out_segs >= tcp.syn_retrans
    assert "TCPSynRetrans" in Path("/proc/net/netstat").read_text()

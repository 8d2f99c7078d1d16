"""Texts on which a parser once took time that grew with the square of their length: seconds for a line that any user can write."""

from __future__ import annotations

import pytest

from collectors.dhcp.lease_files import parse_dhclient
from collectors.logs.matching.header import split_header
from collectors.nic.readers.recorded_ethtool import parse_driver, parse_statistics
from tests.fuzz.execution import execute
from tests.fuzz.registry import targets
from tests.fuzz.target import PART

SECONDS = 2.0  # of CPU; each took from 2 s to minutes, and takes milliseconds
BIG = 1 << 18
HOSTILE = {
    "logs.header": b"Nov 28 03:00:00 h kernel: message repeated 3 times: [ x" + b" " * 8100 + b"x",
    "boot.leases, blocks without an end": b"lease {\n" * (BIG // 8),
    "boot.leases, addresses without an end": b"lease6 {\n" + b"iaaddr fd00::5 {\n" * (BIG // 17) + b"}\n",
    "boot.leases, empty lines": b"lease {\n" + b"\n" * BIG + b"}\n",
    "boot.boot_loader, empty lines": b"\n" * BIG,
    "boot.boot_loader, spaces in an entry": PART * 3 + b"title a" + b" " * BIG + b"b\n",
    "boot.boot_loader, spaces after a bracket": b"}" + b"\n" * BIG + b"x",
    "boot.boot_loader, menus in menus": b"submenu 'a' {\n" * (BIG // 14) + b"menuentry 'x' {\nlinux /vmlinuz-6.1.0-50-amd64\n",
    "boot.device_modules, empty lines": PART * 2 + b"\n" * BIG + b"x",
    "boot.recorded_ethtool, empty lines": PART + b"\n" * BIG + PART + b"\n" * BIG,
    "boot.recorded_ethtool, spaces": b"driver: a" + b" " * BIG + b"b" + PART,
}
TARGETS = targets()
pytestmark = pytest.mark.fault(168)


@pytest.mark.parametrize("name", HOSTILE)
def test_time_is_linear(name: str) -> None:
    assert execute(TARGETS[name.partition(",")[0]], HOSTILE[name], seconds=SECONDS) is None


@pytest.mark.parametrize(
    ("tail", "message"),
    [(b"link down]", b"link down"), (b"link down ] ", b"link down "), (b"a]]", b"a]"), (b"a", b"a"), (b"a b \t", b"a b"), (b"]", b"")],
)
def test_a_repeated_message_ends_before_its_bracket(tail: bytes, message: bytes) -> None:
    header = split_header(b"Nov 28 03:00:00 h dhclient[1]: message repeated 3 times: [ " + tail)
    assert (header.message, header.times) == (message, 3)


def test_a_lease_without_an_end_is_dropped_and_the_next_one_is_read() -> None:
    whole = "lease {\n  fixed-address 10.0.0.6;\n  option dhcp-lease-time 60;\n}\n"
    assert parse_dhclient("lease {\n  fixed-address 10.0.0.5;\n  option dhcp-lease-time 9;\n" + whole) == {"10.0.0.6": 60}
    assert parse_dhclient(whole + whole.replace("60", "90") + "lease {\n  fixed-address 10.0.0.6;") == {"10.0.0.6": 90}
    v6 = "lease6 {\n  ia-na 1 {\n    iaaddr fd00::5 {\n      max-life 90;\n    }\n    iaaddr fd00::6 {\n    }\n    max-life 5;\n  }\n}\n"
    assert parse_dhclient(v6) == {"fd00::5": 90}


def test_values_of_recorded_ethtool_output_are_without_the_spaces_around_them() -> None:
    assert parse_driver("driver: \t ena \nversion:2\nbus-info:\n").name == "ena"
    assert parse_driver("driver: ena\nversion:2\nbus-info:\n").version == "2"
    assert parse_statistics("     a: b: 5\n  rx[0]: 7 \n x: -1\ny: 4\n") == {"a: b": 5, "rx[0]": 7}

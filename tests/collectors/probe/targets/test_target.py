from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.model import BadInput
from collectors.probe.targets.target import SocketAddress, parse


def test_an_address_needs_no_look_up() -> None:
    assert parse("10.0.0.5:22").address == SocketAddress(socket.AF_INET, ("10.0.0.5", 22))
    assert parse("[fd00::5]:22").address == SocketAddress(socket.AF_INET6, ("fd00::5", 22, 0, 0))


def test_a_name_is_kept_as_written_and_looked_up_later() -> None:
    target = parse("db1.Internal.:5432")
    assert (target.text, target.host, target.port, target.address) == ("db1.Internal.:5432", "db1.Internal.", 5432, None)


def test_a_scoped_address_is_looked_up_like_a_name() -> None:
    assert parse("[fe80::1%eth0]:22").address is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not a target"),
        ("10.0.0.5", "is not a target"),
        ("fd00::5:22", "is not a target"),
        ("http://host:80", "is not a target"),
        (":80", "is not a target"),
        ("host:", "is not a target"),
        ("host:0", "not between 1 and 65535"),
        ("host:65536", "not between 1 and 65535"),
        ("host:٣", "is not a target"),
        ("10.1:22", "is not an IPv4 address"),
        ("10.0.0.256:22", "is not an IPv4 address"),
        ("010.0.0.1:22", "is not an IPv4 address"),
        ("0x7f000001:22", "is not an IPv4 address"),
        ("[10.0.0.5]:22", "is not an IPv6 address"),
        ("[db1.internal]:22", "is not an IPv6 address"),
        ("a..b:22", "is not a host name"),
        ("-a.b:22", "is not a host name"),
        ("bücher.de:80", "is not a host name"),
        ("a b:80", "is not a host name"),
        ("a" * 64 + ".b:80", "is not a host name"),
        ("a" * 1000 + ":80", "is not a target"),
        ("host:80\n", "is not a target"),
    ],
)
def test_what_is_no_target_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(BadInput, match=why) as refusal:
        parse(text)
    assert "\n" not in str(refusal.value)


@pytest.mark.fault(55)
@given(st.text(st.sampled_from("0123456789abcdefxz.:[]%-_ \n\0é"), max_size=40) | st.text(max_size=400))
def test_any_text_is_a_target_or_is_refused(text: str) -> None:
    try:
        target = parse(text)
    except BadInput as bad:
        assert len(str(bad)) < 400  # noqa: PT017 — both ends are right, an escaping exception is not
        return
    assert target.text == text
    assert 1 <= target.port <= 65535
    if target.address:
        socket.inet_pton(target.address.family, target.address.sockaddr[0])


@given(st.ip_addresses(), st.integers(1, 65535))
def test_every_address_and_port_is_a_target(address: object, port: int) -> None:
    host = f"[{address}]" if ":" in str(address) else str(address)
    target = parse(f"{host}:{port}")
    assert target.address
    assert target.address.sockaddr[:2] == (str(address), port)

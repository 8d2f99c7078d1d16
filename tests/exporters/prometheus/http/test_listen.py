"""Listen addresses: valid ones, and the errors of others."""

from __future__ import annotations

import http.client
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.model import BadInput
from exporters.prometheus.exporter import Exporter
from exporters.prometheus.http.listen import bound_address, listen
from tests.exporters.prometheus.conftest import nothing

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.fault(29)
def test_the_error_of_a_port_in_use_suggests_a_fix() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BadInput, match="in use by another program") as refused:
            Exporter(list, addresses=["127.0.0.1:0", address], status=nothing, ready=lambda: True)
    assert repr(address) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.fault(29)
def test_a_second_exporter_on_the_same_port_fails() -> None:
    first = Exporter(list, addresses=[":0"], status=nothing, ready=lambda: True)
    with pytest.raises(BadInput, match="in use"):
        Exporter(list, addresses=[":" + first.addresses[0].rpartition(":")[2]], status=nothing, ready=lambda: True)
    first.close()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("", "not HOST:PORT"),
        ("127.0.0.1", "not HOST:PORT"),
        ("19100", "not HOST:PORT"),
        ("::1:19100", "not HOST:PORT"),
        ("[::1]", "not HOST:PORT"),
        ("127.0.0.1:70000", "not HOST:PORT"),
        ("127.0.0.1:-1", "not HOST:PORT"),
        ("127.0.0.1:\u0661", "not HOST:PORT"),
        ("192.0.2.1:0", "not an address of this host"),
        ("[2001:db8::1]:0", "address"),
        ("a\0b:0", "expected an address of this host"),
        ("..:0", "expected an address of this host"),
    ],
)
def test_an_invalid_address_is_an_error(address: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason) as refused:
        listen([address])
    assert "\n" not in str(refused.value)


def test_an_address_given_twice_is_bound_once() -> None:
    sockets = listen(["127.0.0.1:0", "127.0.0.1:0"])
    assert len(sockets) == 1
    assert bound_address(sockets[0]).startswith("127.0.0.1:")
    sockets[0].close()


def test_no_address_at_all_is_an_error() -> None:
    with pytest.raises(BadInput, match="at least one"):
        listen([])


@pytest.mark.parametrize("path", ["", "metrics", "/a b", "/a?b", "/-/ready", "/é", "/a\n"])
def test_a_telemetry_path_that_cannot_be_requested_is_an_error(path: str) -> None:
    with pytest.raises(BadInput, match="as in /metrics"):
        Exporter(list, addresses=["127.0.0.1:0"], telemetry_path=path, status=nothing, ready=lambda: True)


@pytest.mark.fault(55)
@given(st.text(max_size=30).filter(lambda text: not text.isascii() or ":" not in text))
def test_any_other_text_is_a_bad_input(address: str) -> None:
    with pytest.raises(BadInput):
        listen([address])


def test_ipv6_and_several_addresses(serve: Callable[..., Exporter]) -> None:
    exporter = serve(addresses=["127.0.0.1:0", "[::1]:0", ":0", "localhost:0"])
    assert [address.rpartition(":")[0] for address in exporter.addresses] == ["127.0.0.1", "[::1]", "[::]", "127.0.0.1"]
    for host, address in (("127.0.0.1", 0), ("::1", 1), ("127.0.0.1", 2), ("::1", 2)):
        client = http.client.HTTPConnection(host, int(exporter.addresses[address].rpartition(":")[2]), timeout=10)
        client.request("GET", "/-/healthy")
        assert client.getresponse().status == 200
        client.close()

"""Answers of the kernel that are shorter than their structs, or lack an attribute, are errors of the host and never of vitald."""

from __future__ import annotations

import socket
from unittest import mock

import pytest

from collectors.memory.holders import socket_diag
from collectors.netlink import route

pytestmark = pytest.mark.fault(168)
BODIES = [b"", bytes(8), bytes(12), bytes(12) + b"\x05\0\x04\0\1", bytes(12) + b"\x0c\0\x08\0\x06\0\x02\0\1\0"]


@pytest.mark.parametrize("body", BODIES)
def test_a_route_without_its_interface_is_an_oserror(body: bytes) -> None:
    with mock.patch.object(route, "_ask", return_value=iter([body])), pytest.raises(OSError, match=r"\w"):
        route.route("192.0.2.1")


@pytest.mark.parametrize("body", BODIES)
def test_a_short_neighbour_and_a_short_socket_are_left_out(body: bytes) -> None:
    with mock.patch.object(route, "_ask", return_value=iter([body[:11]])):
        assert route.neighbours(socket.AF_INET) == {}
    with mock.patch.object(socket_diag, "request", side_effect=lambda *_arguments: iter([body[:15]])):
        assert list(socket_diag.sockets(10)) == []

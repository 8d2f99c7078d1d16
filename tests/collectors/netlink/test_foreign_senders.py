"""Netlink messages that another process sends to our sockets: none is read, and a flood of them delays no answer."""

from __future__ import annotations

import errno
import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest

from collectors.netlink.link_details_helper import refuse_others
from collectors.netlink.message import NLM_F_DUMP, NLMSG_DONE, NLMSG_ERROR, connect_to_kernel, pack_attribute, request
from collectors.netlink.route import route
from collectors.netlink.rtnetlink import GROUP_LINK, RTM_GETADDR, RTM_NEWLINK, Multicast

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.fault(166), pytest.mark.root]
RAW = socket.SOCK_RAW | socket.SOCK_CLOEXEC
LOOPBACK = struct.pack("=BBBBi", socket.AF_INET, 0, 0, 0, 0)


def forged(nlmsg_type: int, payload: bytes, sequence: int = 1, flags: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), nlmsg_type, flags, sequence, 0) + payload


def link_named(name: bytes) -> bytes:
    return struct.pack("=BxHiII", 0, 1, 99, 0, 0) + pack_attribute(3, name + b"\0")


@pytest.fixture
def sender() -> Callable[[int, bytes, int], None]:
    """Return a function that sends a datagram to a port ID and groups, as a process with CAP_NET_ADMIN can."""

    def send(port: int, datagram: bytes, groups: int = 0) -> None:
        with socket.socket(socket.AF_NETLINK, RAW, socket.NETLINK_ROUTE) as sock:
            sock.bind((0, 0))
            sock.sendto(datagram, (port, groups))

    return send


def test_the_kernel_refuses_what_others_send_to_a_connected_socket(sender: Callable[..., None]) -> None:
    with socket.socket(socket.AF_NETLINK, RAW, socket.NETLINK_ROUTE) as sock:
        sock.bind((0, 0))
        port = sock.getsockname()[0]
        sender(port, forged(RTM_NEWLINK, link_named(b"evil0")))  # before: it arrives
        connect_to_kernel(sock)
        with pytest.raises(ConnectionRefusedError):
            sender(port, forged(RTM_NEWLINK, link_named(b"evil0")))


@pytest.mark.parametrize(
    "datagram",
    [
        forged(RTM_NEWLINK, link_named(b"evil0")),
        forged(NLMSG_DONE, b""),
        forged(NLMSG_ERROR, struct.pack("=i", -errno.EPERM)),
        forged(RTM_NEWLINK, b"", flags=0x10),  # NLM_F_DUMP_INTR
        b"not a message of netlink",
    ],
)
def test_an_answer_that_another_process_queued_before_is_not_read(sender: Callable[..., None], datagram: bytes) -> None:
    with socket.socket(socket.AF_NETLINK, RAW, socket.NETLINK_ROUTE) as sock:
        sock.settimeout(5)
        sock.bind((0, 0))
        for _ in range(3):
            sender(sock.getsockname()[0], datagram)
        addresses = list(request(sock, RTM_GETADDR, NLM_F_DUMP, LOOPBACK))
        assert any(socket.inet_aton("127.0.0.1") in address for address in addresses)


def test_an_old_answer_of_the_kernel_is_not_the_answer_to_a_later_request() -> None:
    with socket.socket(socket.AF_NETLINK, RAW, socket.NETLINK_ROUTE) as sock:
        sock.settimeout(5)
        sock.bind((0, 0))
        next(request(sock, RTM_GETADDR, NLM_F_DUMP, LOOPBACK))  # the rest of this answer stays in the socket
        with pytest.raises(OSError, match=os_error(errno.ENODEV)):
            list(request(sock, 18, 0, struct.pack("=BxHiII", 0, 0, 0x7FFFFFF0, 0, 0)))  # RTM_GETLINK of no link


def os_error(code: int) -> str:
    return rf"\[Errno {code}\]"


def test_a_flood_of_foreign_messages_prolongs_no_answer() -> None:
    done = threading.Event()
    with socket.socket(socket.AF_NETLINK, RAW, socket.NETLINK_ROUTE) as sock:
        sock.settimeout(5)
        sock.bind((0, 0))
        port = sock.getsockname()[0]

        def flood() -> None:
            with socket.socket(socket.AF_NETLINK, RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE) as other:
                other.bind((0, 0))
                while not done.is_set():
                    try:
                        other.sendto(forged(RTM_NEWLINK, link_named(b"evil0")), (port, 0))
                    except OSError:
                        continue

        thread = threading.Thread(target=flood)
        thread.start()
        try:
            with pytest.raises(OSError, match=r"no whole answer|timed out|No buffer space"):
                list(request(sock, 1, NLM_F_DUMP, b"", seconds=0.5))  # NLMSG_NOOP: the kernel answers nothing
        finally:
            done.set()
            thread.join()


def test_an_event_that_another_process_multicasts_is_not_one(sender: Callable[..., None]) -> None:
    events = Multicast(GROUP_LINK)
    try:
        port = events.socket.getsockname()[0]
        sender(0, forged(RTM_NEWLINK, link_named(b"evil0")), GROUP_LINK)
        with pytest.raises(ConnectionRefusedError):
            sender(port, forged(RTM_NEWLINK, link_named(b"evil0")))
        assert not [payload for _, payload in events.drain() or [] if b"evil0" in payload]
    finally:
        events.close()


def test_routes_and_the_sockets_of_pyroute2_read_the_kernel_alone(sender: Callable[..., None]) -> None:
    assert route("127.0.0.1").local
    with socket.socket(socket.AF_NETLINK, RAW, socket.NETLINK_ROUTE) as sock:
        sock.bind((0, 0))
        refuse_others(sock)
        with pytest.raises(ConnectionRefusedError):
            sender(sock.getsockname()[0], forged(RTM_NEWLINK, link_named(b"evil0")))

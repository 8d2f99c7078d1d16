"""Targets of what the kernel and the network send: netlink, ethtool, error queues, packets, HTTP, instance metadata."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import socket
import struct
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self
from unittest import mock

import h11
import msgspec

from collectors.dhcp.addresses import parse_address
from collectors.helper_process import HelperFailed
from collectors.host.imds import ImdsError, _exchange, parse_document
from collectors.memory.holders import socket_diag
from collectors.model import Unavailable
from collectors.netlink import message, route
from collectors.netlink.link_details import LinkDetailsClient
from collectors.netlink.link_details_messages import LinkQuestion
from collectors.nic.readers.ethtool import Ethtool
from collectors.nic.readers.link_events import LinkEvents
from collectors.packets import client as packet_client
from collectors.packets.protocol import Endpoint, ProbeAnswer
from collectors.packets.traceroute import half_open
from collectors.probe.connect import icmp_errors
from tests.fuzz.target import Target

if TYPE_CHECKING:
    from array import array

_NAMES = {1: "lo", 2: "eth0"}


def _netlink_framing(data: bytes) -> None:
    total = 0
    for nlmsg_type, _flags, payload in message.messages(data):
        total += len(payload) + message.HEADER_BYTES
        assert 0 <= nlmsg_type <= 0xFFFF
        for value in message.attributes(payload).values():
            assert len(value) <= len(payload)
    assert total <= len(data)


class _Kernel:
    """A netlink socket whose kernel answers with these datagrams, each led by its length in two bytes, then nothing."""

    def __init__(self, data: bytes, end: type[OSError] = TimeoutError) -> None:
        self._datagrams, self._end = [], end
        while len(data) > 2:
            length = int.from_bytes(data[:2], "big")
            self._datagrams.append(data[2 : 2 + length])
            data = data[2 + length :]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def sendto(self, data: bytes, _address: object) -> int:
        return len(data)

    def recvfrom(self, _size: int) -> tuple[bytes, tuple[int, int]]:
        if not self._datagrams:
            raise self._end
        return self._datagrams.pop(0), (0, 0)

    def recvmsg(self, *_sizes: int) -> tuple[bytes, list[Any], int, tuple[int, int]]:
        data, address = self.recvfrom(0)
        return data, [], 0, address

    def settimeout(self, _seconds: float) -> None: ...
    def setsockopt(self, *_values: object) -> None: ...
    def bind(self, _address: object) -> None: ...
    def connect(self, _address: object) -> None: ...
    def close(self) -> None: ...

    def fileno(self) -> int:
        return 0


@contextlib.contextmanager
def _netlink(module: Any, data: bytes) -> Any:
    with mock.patch.object(module.socket, "socket", lambda *_arguments: _Kernel(data)), \
         mock.patch.object(message, "_sequences", itertools.repeat(1)):  # fmt: skip
        yield


def _address(data: bytes) -> None:
    found = parse_address(data, _NAMES, 1000.0)
    if found is None:
        return
    assert found.interface in _NAMES.values()
    assert 0 <= found.age < 1 << 32
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg  # noqa: PLC0415 — the peer

    peer = ifaddrmsg(struct.pack("=IHHII", 16 + len(data), 20, 0, 0, 0) + data)
    with contextlib.suppress(Exception):  # what pyroute2 refuses is no answer of it
        peer.decode()
        names = [name for name, _ in peer["attrs"]]
        if len(names) == len(set(names)) and not any(name.startswith("UNKNOWN") for name in names):
            expected = peer.get_attr("IFA_LOCAL") or peer.get_attr("IFA_ADDRESS")
            assert found.address == expected, (found, expected)
            assert found.tstamp == peer.get_attr("IFA_CACHEINFO")["tstamp"]


class _RecordedLinkEvents(LinkEvents):
    def __init__(self, data: bytes) -> None:
        kernel: Any = _Kernel(data, BlockingIOError)
        self.socket = kernel


def _link_event(data: bytes) -> None:
    changes = _RecordedLinkEvents(data).read()
    assert changes.incomplete or all(changes.names)


def _route(data: bytes) -> None:
    with _netlink(route, data), mock.patch.object(socket, "if_indextoname", lambda index: _NAMES[index] if index in _NAMES else _gone()), \
         mock.patch.object(route, "interface_mtu", lambda _name: 1500):  # fmt: skip
        found = route.route("192.0.2.1")
    assert found.mtu <= 1500


def _gone() -> str:
    raise OSError(6, "no such device")


def _neighbours(data: bytes) -> None:
    with _netlink(route, data):
        for (interface, _address), state in route.neighbours(socket.AF_INET).items():
            assert interface
            assert state


def _socket_diag(data: bytes) -> None:
    with _netlink(socket_diag, data):
        for found in socket_diag.sockets(1000):
            assert found.memory >= 0


def _icmp_error(data: bytes) -> None:
    for cut in (len(data), min(16, len(data))):
        sock: Any = SimpleNamespace(recvmsg=lambda *_sizes, part=data[:cut]: (b"", [(0, 11, part)], 0, ("192.0.2.1", 22)))
        found = icmp_errors.read(sock)
        assert found is None or found.sender


class _RecordedEthtool(Ethtool):
    """Answers each ioctl with the next bytes."""

    def __init__(self, data: bytes) -> None:
        with mock.patch("socket.socket"):
            super().__init__()
        self._data = data

    def _ioctl(self, _interface: str, reply: array[int]) -> None:
        size = len(reply) * reply.itemsize
        part, self._data = self._data[:size], self._data[size:]
        memoryview(reply).cast("B")[: len(part)] = part


def _ethtool(data: bytes) -> None:
    reader = _RecordedEthtool(data)
    driver = reader.driver("eth0")
    reader.statistics("eth0", driver)
    reader.features("eth0")


class _Answers:
    """A helper process that answers with these bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def ask(self, *_arguments: object, **_limits: object) -> bytes:
        return self._data


def _link_details(data: bytes) -> None:
    client = LinkDetailsClient()
    client._helper = _Answers(data)  # type: ignore[assignment]
    answer = client.ask(LinkQuestion())
    assert answer.more is not None


def _packet_client(data: bytes) -> None:
    """The helper's output, read by the client, with two scripts in flight."""
    read_ends = io.BytesIO(data)
    process: Any = SimpleNamespace(stdin=io.BytesIO(), poll=lambda: 1, wait=lambda _seconds=None: 1, returncode=1)
    endpoint = Endpoint("192.0.2.1", "192.0.2.2", 22, 1500)
    scripts = {"a": (endpoint, half_open()), "b": (endpoint, half_open())}
    found: dict[str, ProbeAnswer] = {}
    with mock.patch.object(packet_client, "read_some", lambda _process, _deadline: read_ends.read(100)), \
         mock.patch.object(packet_client, "exit_reason", lambda _process: "ended"):  # fmt: skip
        packet_client._Round(process, scripts, found).run(1.0)
    assert set(found) == {"a", "b"}


_answers = msgspec.json.Decoder(ProbeAnswer)


def _packet(data: bytes) -> None:
    """A packet that reaches the helper: what it writes is what the client accepts, and no order is lost without an answer."""
    from scapy.layers.inet import IP  # noqa: PLC0415 — 34 MB
    from scapy.layers.inet6 import IPv6  # noqa: PLC0415

    from collectors.packets.scapy_helper import round as rounds  # noqa: PLC0415
    from collectors.packets.scapy_helper import sockets as packet_sockets  # noqa: PLC0415

    version = 6 if data[:1] >= b"\x60" else 4
    host, peer = ("192.0.2.1", "192.0.2.2") if version == 4 else ("2001:db8::1", "2001:db8::2")
    flow = SimpleNamespace(version=version, sequence=1000, key=(peer, 22, host, 4000), holder=io.BytesIO(), packet=lambda *_a, **_k: b"")
    order = {"id": 1, "flow": 1, "tries": 1, "wait": 1.0}
    probe = SimpleNamespace(order=order, flow=flow, tag=0x4001, sent=1, at=0.0, padding=0)
    flow.probe = probe
    sender: Any = SimpleNamespace(send=lambda *_packet: None)
    probes = rounds.Round(sender, 100.0)
    probes._flows[1], probes._by_key[flow.key] = flow, flow  # type: ignore[assignment]
    queue: list[Any] = [(data, [], 0, None)]

    def recvmsg(*_sizes: int) -> Any:
        if not queue:
            raise BlockingIOError
        return queue.pop()

    receivers = packet_sockets.PacketSockets.__new__(packet_sockets.PacketSockets)
    receiver: Any = SimpleNamespace(recvmsg=recvmsg)
    receivers._receivers = {7: (receiver, IP if version == 4 else IPv6)}
    with mock.patch.object(sys, "stdout", io.StringIO()) as written:
        receivers.receive(7, probes.match)
    lines = written.getvalue().splitlines()
    assert (flow.probe is None) == bool(lines), "an order without an answer"
    for line in lines:
        assert _answers.decode(line).id == 1


class _Server:
    """A connection whose server sends these bytes and closes."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def sendall(self, _data: bytes) -> None: ...
    def settimeout(self, _seconds: float) -> None: ...

    def recv(self, _size: int) -> bytes:
        return self._data.read(97)


def _imds(data: bytes) -> None:
    server: Any = _Server(data)
    status, body = _exchange(server, "GET", "/x", [(b"Host", b"h")], time.monotonic() + 60)
    if status == 200:
        parse_document(body)


def _imds_document(data: bytes) -> None:
    assert any(vars_of(parse_document(data)))


def vars_of(identity: Any) -> list[str]:
    """Return the fields of a frozen dataclass with slots."""
    return [getattr(identity, name) for name in identity.__slots__]


def _segments(*datagrams: bytes) -> bytes:
    return b"".join(len(datagram).to_bytes(2, "big") + datagram for datagram in datagrams)


def _nlmsg(nlmsg_type: int, payload: bytes, flags: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), nlmsg_type, flags, 1, 0) + payload


_pack = message.pack_attribute
_IFADDR = (
    struct.pack("=BBBBi", 2, 24, 0, 0, 2) + _pack(1, b"\xc0\0\2\1") + _pack(2, b"\xc0\0\2\1") + _pack(6, struct.pack("=IIII", 60, 90, 1, 2))
)
_IFADDR6 = (
    struct.pack("=BBBBi", 10, 128, 0, 0, 2) + _pack(1, bytes(15) + b"\1") + _pack(6, struct.pack("=IIII", 60, 90, 1, 2)) + _pack(11, b"\1")
)
_LINK = struct.pack("=BxHiII", 0, 1, 2, 0x43, 0) + _pack(3, b"eth0\0") + _pack(4, struct.pack("=I", 1500))
_ROUTE = (
    struct.pack("=8BI", 2, 32, 0, 0, 254, 2, 0, 1, 0) + _pack(4, struct.pack("=i", 2)) + _pack(5, b"\xc0\0\2\xfe") + _pack(7, b"\xc0\0\2\1")
)
_METRICS = _pack(8, _pack(2, struct.pack("=I", 1400))) + _pack(12, struct.pack("=IIiIIIII", 0, 0, 60, 0, 0, 0, 0, 0))
_NEIGH = struct.pack("=BxHiHBB", 2, 0, 2, 2, 0, 1) + _pack(1, b"\xc0\0\2\xfe")
_DONE = _nlmsg(3, bytes(4))
_INET = struct.pack("=4B", 2, 1, 0, 0) + b"\0\x16\x10\0" + b"\xc0\0\2\1".ljust(16, b"\0") + b"\xc0\0\2\2".ljust(16, b"\0") + bytes(32)
_MEMINFO = _pack(7, struct.pack("=9I", 1, 2, 3, 4, 5, 6, 7, 8, 9))


def _ethtool_seeds() -> list[bytes]:
    info = struct.pack("=I32s32s32s32s32s12s5I", 3, b"ena", b"2.12.0g", b"", b"0000:00:05.0", b"", b"", 0, 2, 0, 0, 0)
    strings = struct.pack("=III", 0x1B, 1, 2) + b"tx_timeout".ljust(32, b"\0") + b"wd_expired".ljust(32, b"\0") + bytes(32 * 1024)
    statistics = struct.pack("=II", 0x1D, 2) + struct.pack("=2Q", 5, 6) + bytes(8 * 1024)
    return [info, info + strings + statistics + struct.pack("=IIQI", 0x37, 0, 1 << 4, 2)]


def _packet_seeds() -> list[bytes]:
    from scapy.layers.inet import ICMP, IP, TCP  # noqa: PLC0415
    from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6  # noqa: PLC0415

    back4, back6 = IP(src="192.0.2.2", dst="192.0.2.1"), IPv6(src="2001:db8::2", dst="2001:db8::1")
    answer: dict[str, Any] = {"sport": 22, "dport": 4000, "ack": 1001}
    sent4 = IP(src="192.0.2.1", dst="192.0.2.2", id=0x4001) / TCP(sport=4000, dport=22, seq=1000, window=0x4001)
    sent6 = IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(sport=4000, dport=22, seq=1000, window=0x4001)
    packets = [back / TCP(flags=flags, options=[("MSS", 1460)], **answer) for back in (back4, back6) for flags in ("SA", "RA")]
    packets += [
        IP(src="192.0.2.9", dst="192.0.2.1") / ICMP(type=kind, code=code, nexthopmtu=1400) / sent4
        for kind, code in ((3, 4), (11, 0), (3, 1))
    ]
    return [bytes(packet) for packet in (*packets, IPv6(src="2001:db8::9", dst="2001:db8::1") / ICMPv6PacketTooBig(mtu=1400) / sent6)]


_HELLO = b'{"ready": true}\n'
_ANSWER = b'{"id": %d, "kind": "syn_ack", "sender": "192.0.2.2", "rtt": 187, "mss": 1460, "mtu": 0, "hops": 64, "code": 0, "tries": 1, "error": 0}\n'
_DOCUMENT = json.dumps(
    {"instanceId": "i-0123456789abcdef0", "instanceType": "m5.large", "availabilityZone": "eu-west-1a", "imageId": "ami-1"}
).encode()
_LINKS = b'{"routes":{"192.0.2.1":{"interface":"eth0","confirmed":1.5}},"links":{"eth0":{"name":"eth0","queues":[{"kind":"mq"}],"rx_ring":[1,2]}},"more":0}'

TARGETS = (
    Target("network.netlink", ("collectors.netlink.message",), _netlink_framing, lambda: [_nlmsg(20, _IFADDR) + _DONE, _nlmsg(16, _LINK)], most=1 << 18),
    Target("network.address", ("collectors.dhcp.addresses",), _address, lambda: [_IFADDR, _IFADDR6, _IFADDR[:20]]),
    Target("network.link_event", ("collectors.nic.readers.link_events", "collectors.netlink.rtnetlink"), _link_event, lambda: [_segments(_nlmsg(16, _LINK) * 2, _nlmsg(17, _LINK)), _segments(_nlmsg(17, _LINK[:16]), _nlmsg(16, _LINK[:8]))]),
    Target("network.route", ("collectors.netlink.route",), _route, lambda: [
        _segments(_nlmsg(24, _ROUTE + _METRICS)), _segments(_nlmsg(24, _ROUTE[:12])), _segments(_nlmsg(2, struct.pack("=i", -101) + bytes(16))),
    ], allowed=(OSError,)),
    Target("network.neighbours", ("collectors.netlink.route",), _neighbours, lambda: [_segments(_nlmsg(28, _NEIGH) * 3, _DONE)], allowed=(OSError,)),
    Target("network.socket_diag", ("collectors.memory.holders.socket_diag",), _socket_diag, lambda: [
        _segments(_nlmsg(20, _INET + _MEMINFO, 2) + _nlmsg(20, b"\x0a" + _INET[1:]), _DONE), _segments(_DONE, _DONE, _DONE, _DONE, _nlmsg(20, bytes(16) + _pack(5, bytes(36))), _DONE),
    ]),
    Target("network.icmp_error", ("collectors.probe.connect.icmp_errors",), _icmp_error, lambda: [
        struct.pack("=IBBBxII", 113, 2, 3, 1, 0, 0) + struct.pack("=HH4s8x", 2, 0, b"\xc0\0\2\1"), struct.pack("=IBBBxII", 113, 3, 1, 0, 0, 0) + bytes(28),
    ]),
    Target("network.ethtool", ("collectors.nic.readers.ethtool", "collectors.nic.readers.features"), _ethtool, _ethtool_seeds, allowed=(OSError,),
           length=1 << 17),
    Target("network.link_details", ("collectors.netlink.link_details", "collectors.netlink.link_details_messages"), _link_details,
           lambda: [_LINKS, b"{}", b'{"links":[]}'], allowed=(HelperFailed,), most=1 << 20),
    Target("network.packet_client", ("collectors.packets.client",), _packet_client, lambda: [
        _HELLO + _ANSWER % 1 + _ANSWER % 2, b'{"fatal": 1, "detail": "no"}\n', _HELLO + _ANSWER % 1 + _ANSWER % 1,
    ], allowed=(HelperFailed, Unavailable), words=(b'"kind"', b'"silent"', b'"id"')),
    Target("network.packet", ("collectors.packets.scapy_helper.round", "collectors.packets.scapy_helper.answers", "collectors.packets.scapy_helper.sockets"),
           _packet, _packet_seeds, most=2048, length=512),
    Target("network.imds", ("collectors.host.imds",), _imds, lambda: [
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(_DOCUMENT) + _DOCUMENT, b"HTTP/1.0 401 No\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" + _DOCUMENT,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nabc",
    ], allowed=(ImdsError, h11.ProtocolError), words=(b"\r\n\r\n", b"Transfer-Encoding: chunked", b"Content-Length: ", b"HTTP/1.1 200 OK\r\n", b"Connection: close")),
    Target("network.imds_document", ("collectors.host.imds",), _imds_document, lambda: [_DOCUMENT, b"[]", b'{"instanceId": 5}'], allowed=(ImdsError,), most=1 << 16),
)  # fmt: skip

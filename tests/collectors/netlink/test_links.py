"""The link child: routes, neighbours and links of real namespaces, and children that are not what they should be."""

from __future__ import annotations

import errno
import itertools
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from collectors.helper_process import HelperFailed
from collectors.netlink.link_details import COMMAND, LinkDetailsClient
from collectors.netlink.link_details_messages import LinkAnswer, LinkDetails, LinkQuestion, Queue
from collectors.netlink.route import neighbour, route
from collectors.nic.panels import queue_panels

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count()


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"vdlinks-{os.getpid()}{next(_numbers)}"
    run("ip", "netns", "add", name)
    yield name
    run("ip", "netns", "del", name)


def ask(namespace: str, *addresses: str, links: tuple[str, ...] = (), every: bool = False) -> LinkAnswer:
    child = LinkDetailsClient(("ip", "netns", "exec", namespace, *COMMAND))
    return child.ask(LinkQuestion(addresses, links, every), 60)


@pytest.mark.root
@pytest.mark.needs("ip")
def test_it_says_which_route_and_which_neighbour(namespace: str) -> None:
    run("ip", "-n", namespace, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    for name in ("v0", "v1"):
        run("ip", "-n", namespace, "link", "set", name, "up")
    run("ip", "-n", namespace, "address", "add", "10.96.0.2/24", "dev", "v0")
    run("ip", "-n", namespace, "address", "add", "fd96::2/64", "dev", "v0", "nodad")
    run("ip", "-n", namespace, "route", "add", "10.95.0.0/16", "via", "10.96.0.1", "proto", "dhcp", "table", "7")
    run("ip", "-n", namespace, "rule", "add", "to", "10.95.0.0/16", "lookup", "7")
    run("ip", "-n", namespace, "route", "add", "blackhole", "10.94.0.0/16")
    run("ip", "-n", namespace, "neighbour", "add", "10.96.0.1", "lladdr", "02:00:00:00:00:96", "dev", "v0", "nud", "permanent")
    run("ip", "-n", namespace, "neighbour", "add", "fd96::9", "dev", "v0", "nud", "failed")
    ways = ask(namespace, "10.95.1.1", "10.96.0.7", "10.94.0.1", "fd96::9", "10.93.0.1", "fe80::9%v0", "fe80::9%gone").routes
    far = ways["10.95.1.1"]
    assert (far.interface, far.gateway, far.source, far.kind) == ("v0", "10.96.0.1", "10.96.0.2", "unicast")
    assert (far.table, far.protocol, far.neighbour, far.hardware) == ("7", "dhcp", "PERMANENT", "02:00:00:00:00:96")
    assert (ways["10.96.0.7"].gateway, ways["10.96.0.7"].table, ways["10.96.0.7"].neighbour) == ("", "main", "")
    assert ways["fd96::9"].neighbour == "FAILED"
    assert ways["fe80::9%v0"].interface == "v0"
    errors = {address: way.error for address, way in ways.items() if way.error}
    assert errors == {"10.94.0.1": errno.EINVAL, "10.93.0.1": errno.ENETUNREACH, "fe80::9%gone": errno.ENODEV}


@pytest.mark.root
@pytest.mark.needs("ip", "tc")
def test_it_says_what_a_queue_dropped_and_what_else_a_link_is_called(namespace: str) -> None:
    run("ip", "-n", namespace, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    run("ip", "-n", namespace, "link", "add", "bridge0", "type", "bridge")
    run("ip", "-n", namespace, "link", "property", "add", "dev", "v0", "altname", "ens5")
    run("ip", "-n", namespace, "link", "set", "v1", "master", "bridge0")
    for name in ("v0", "v1", "bridge0"):
        run("ip", "-n", namespace, "link", "set", name, "up")
    run("ip", "-n", namespace, "address", "add", "10.96.0.2/24", "dev", "v0")
    run("ip", "-n", namespace, "neighbour", "add", "10.96.0.9", "lladdr", "02:00:00:00:00:96", "dev", "v0", "nud", "permanent")
    run("tc", "-n", namespace, "qdisc", "add", "dev", "v0", "root", "tbf", "rate", "8kbit", "burst", "1600", "limit", "3000")
    flood = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); [s.sendto(bytes(1000), ('10.96.0.9', 9)) for _ in range(50)]"
    )
    run("ip", "netns", "exec", namespace, sys.executable, "-c", flood)
    answer = ask(namespace, every=True)
    link = answer.links["v0"]
    assert (link.kind, link.alternative_names, answer.links["v1"].master) == ("veth", ("ens5",), "bridge0")
    assert link.queues[0].kind == "tbf"
    assert 30 <= link.queues[0].dropped <= 50
    assert answer.links["lo"].kind == ""
    assert list(ask(namespace, links=("v1", "gone")).links) == ["v1"]
    (panel,) = queue_panels(answer.links)
    assert panel.rows[0][0] == "v0"
    assert panel.rows[0][-1] == f"queue {link.queues[0].dropped}"


def test_it_agrees_with_the_main_process_own_question() -> None:
    way = LinkDetailsClient().ask(LinkQuestion(("127.0.0.1",)), 60).routes["127.0.0.1"]
    own = route("127.0.0.1")
    assert (way.interface, way.source, way.kind == "local") == (own.interface, own.source, own.local)
    assert way.neighbour == neighbour(own, "127.0.0.1")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("sleep", "60"), "did not answer in time"),
        (("false",), "ended with status 1 without an answer"),
        (("sh", "-c", "kill -9 $$"), "was killed by SIGKILL"),
        (("yes",), "answered with more than 1024 KiB"),
        (("/nonexistent",), "could not be started: No such file or directory"),
        (("echo", '{"routes": 3}'), "sent an invalid answer"),
        (("echo", '{"links": {}, "evil": 1}'), "sent an invalid answer"),
    ],
)
def test_a_child_that_is_no_good_is_an_answer_that_is_missing(command: tuple[str, ...], why: str) -> None:
    with pytest.raises(HelperFailed, match=why):
        LinkDetailsClient(command).ask(LinkQuestion(), 1)


def test_after_stop_no_question_is_asked() -> None:
    child = LinkDetailsClient()
    child.stop()
    with pytest.raises(HelperFailed, match="stopped"):
        child.ask(LinkQuestion())


def test_the_table_names_rings_channels_and_what_was_lost() -> None:
    eth0 = LinkDetails(
        "eth0",
        queues=(Queue("mq"), Queue("fq_codel", 3, 0, 90), Queue("fq_codel", 4)),
        rx_ring=(512, 4096),
        tx_ring=(512, 512),
        channels=(2, 8),
        xdp=True,
        statistics={"rx_dropped": 5},
    )
    (panel,) = queue_panels({"eth0": eth0})
    assert panel.rows == (("eth0", "", "", "2 of 8", "512 of 4096/512", "mq, fq_codel (90 B now), XDP", "queue 7, rx_dropped 5"),)
    assert list(queue_panels({})) == []


def test_the_main_process_imports_no_pyroute2() -> None:
    code = "import sys, collectors.registry, daemon.application; print('pyroute2' in sys.modules, 'psutil' in sys.modules)"
    assert run(sys.executable, "-c", code).split() == ["False", "False"]


def test_a_socket_of_ours_is_not_handed_to_the_child() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        os.set_inheritable(server.fileno(), True)  # noqa: FBT003
        child = LinkDetailsClient(("sh", "-c", f"test -e /proc/self/fd/{server.fileno()} && echo '{{}}'"))
        with pytest.raises(HelperFailed, match="ended with status 1"):
            child.ask(LinkQuestion(), 10)

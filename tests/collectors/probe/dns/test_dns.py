"""Look-ups with a real dnsmasq: it hangs, returns NXDOMAIN, answers with 500 addresses, and changes its answers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess

    from tests.kit.probe_lab import Lab

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "nft", "dnsmasq")]


def serve_names(lab: Lab, hosts: str) -> tuple[subprocess.Popen[str], Path]:
    """Answer for *.test on `far`, from a hosts file; *.hang is never answered. `near` asks there."""
    folder = Path("/etc/netns") / lab.near
    folder.mkdir(parents=True)
    (folder / "resolv.conf").write_text("nameserver 10.77.1.2\noptions timeout:3 attempts:2\n")
    names = lab.folder / "hosts"
    names.write_text(hosts)
    lab.folder.chmod(0o755)
    lab.nft(lab.far, "table inet dns {\n chain i { type filter hook input priority 0;\n udp dport 5999 drop\n tcp dport 5999 drop\n }\n}\n")
    words = (
        "--no-daemon --conf-file=/dev/null --no-hosts --no-resolv --user=root --local=/test/ --listen-address=10.77.1.2 --bind-interfaces"
    )
    more = [f"--addn-hosts={names}", "--server=/hang/10.77.1.2#5999", "--max-ttl=0", "--cache-size=0"]
    return lab.start(lab.far, "dnsmasq", *words.split(), *more, ready="read "), names


@pytest.mark.fault(42)
def test_a_hanging_name_is_a_failure_of_its_own_and_delays_no_other(lab: Lab) -> None:
    serve_names(lab, "10.77.1.2 db.test\nfd77::2 six.test\n")
    lab.serve(lab.far, "80")
    hanging = [f"h{number}.hang:80" for number in range(10)]
    targets = [*hanging, "db.test:80", "six.test:80", "nobody.test:80", "10.77.1.2:80"]
    first, second = lab.sweep(*targets, sweeps=2, interval="2s", timeout="1s")
    for states in (first, second):
        assert {target: states[target]["reason"] for target in hanging} == dict.fromkeys(hanging, "dns_timeout")
        assert states["nobody.test:80"]["reason"] == "dns_not_found"
        for target in ("db.test:80", "six.test:80", "10.77.1.2:80"):
            assert (states[target]["reason"], states[target]["retransmits"]) == ("answered", 0), target
        assert states["10.77.1.2:80"]["took"] < 3  # the look-ups go on for six seconds
    assert first["db.test:80"]["dns"] < 3
    assert first["10.77.1.2:80"]["dns"] is None
    assert second["h0.hang:80"]["in_a_row"] == 2
    assert second["h0.hang:80"]["dns"] > 1
    assert second["h0.hang:80"]["message"].startswith("dns timeout 2 times in a row")


@pytest.mark.fault(42)
def test_no_name_server_at_all_is_distinguished_from_a_silent_one(lab: Lab) -> None:
    folder = Path("/etc/netns") / lab.near
    folder.mkdir(parents=True)
    (folder / "resolv.conf").write_text("nameserver 10.77.1.2\n")  # nobody listens there: ICMP says so at once
    (states,) = lab.sweep("db.test:80")
    assert states["db.test:80"]["reason"] == "dns_error"


@pytest.mark.fault(42)
def test_500_addresses_in_changing_order_do_not_flap_and_a_peer_that_moved_is_followed(lab: Lab) -> None:
    many = "".join(f"10.80.{number // 250}.{number % 250 + 1} many.test\n" for number in range(500))
    dnsmasq, names = serve_names(lab, f"{many}10.77.1.2 mover.test\n")
    lab.ip("-n", lab.far, "route", "add", "local", "10.80.0.0/16", "dev", "lo")
    lab.ip("-n", lab.near, "route", "add", "10.80.0.0/16", "via", "10.77.1.2")
    lab.serve(lab.far, "80")
    moved = f"{''.join(reversed(many.splitlines(keepends=True)))}10.80.9.9 mover.test\n"
    gone = "10.80.9.8 many.test\n"
    first, second, third = lab.sweep(
        "many.test:80", "mover.test:80", sweeps=3, interval="1s", timeout="500ms",
        refresh=0.2, hosts=[moved, gone], hosts_file=str(names), dnsmasq=dnsmasq.pid,
    )  # fmt: skip
    assert [states["many.test:80"]["reason"] for states in (first, second, third)] == ["answered"] * 3
    assert first["many.test:80"]["address"] == second["many.test:80"]["address"] != "10.80.9.8"
    assert third["many.test:80"]["address"] == "10.80.9.8"
    assert [states["mover.test:80"]["address"] for states in (first, second)] == ["10.77.1.2", "10.80.9.9"]
    assert second["mover.test:80"]["reason"] == "answered"
    assert third["mover.test:80"]["reason"] == "dns_not_found"


@pytest.mark.fault(42)
def test_every_address_of_a_name_is_probed_and_a_dead_one_is_reported(lab: Lab) -> None:
    serve_names(lab, "10.77.1.2 db.test\n10.77.1.3 db.test\n10.77.1.4 db.test\n")
    for own in ("3", "4"):
        lab.ip("-n", lab.far, "addr", "add", f"10.77.1.{own}/24", "dev", "wire")
    lab.nft(lab.far, "table inet dead {\n chain i { type filter hook input priority 0;\n ip daddr 10.77.1.3 tcp dport 80 drop\n }\n}\n")
    lab.serve(lab.far, "80")
    *_, last = lab.sweep("db.test:80", sweeps=3, interval="1s", timeout="300ms")
    assert last["db.test:80"]["message"].startswith("10.77.1.3: timed out")
    assert last["db.test:80"]["message"].endswith("2 of its 3 addresses answer")


@pytest.mark.fault(42)
def test_the_command_probes_every_address_of_a_name_too(lab: Lab) -> None:
    many = "".join(f"10.77.2.{number} many.test\n" for number in range(1, 40))
    serve_names(lab, f"10.77.1.2 db.test\n10.77.1.3 db.test\n10.77.1.4 db.test\nfd99::1 db.test\n{many}")
    for own in ("3", "4"):
        lab.ip("-n", lab.far, "addr", "add", f"10.77.1.{own}/24", "dev", "wire")
    lab.nft(lab.far, "table inet dead {\n chain i { type filter hook input priority 0;\n ip daddr 10.77.1.3 tcp dport 80 drop\n }\n}\n")
    lab.serve(lab.far, "80")
    code = "import sys; from daemon.cli.main import main; sys.exit(0 * main(['probe', *sys.argv[1:]]))"  # it ends with 1: one is dead
    words = [sys.executable, "-c", code, "db.test:80", "many.test:80", "unknown.test:80", "-c", "1", "--timeout", "0.9", "--format", "json"]
    state = {one["target"]: one for one in json.loads(lab.inside(lab.near, *words))["targets"]}
    ends = {name: list(one["ends"]) for name, one in state.items() if name.startswith("db.test")}
    assert ends == {  # fd99::1 has no route here
        "db.test:80 (10.77.1.2)": ["answered"],
        "db.test:80 (10.77.1.3)": ["timeout"],
        "db.test:80 (10.77.1.4)": ["answered"],
    }
    assert (state["db.test:80 (10.77.1.3)"]["host"], state["db.test:80 (10.77.1.3)"]["address"]) == ("db.test", "10.77.1.3")
    assert sum(name.startswith("many.test") for name in state) == 8
    assert list(state["unknown.test:80"]["ends"]) == ["dns_not_found"]

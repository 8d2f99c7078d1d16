"""The collector in real namespaces, with real interfaces."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.cardinality import Caps
from collectors.model import Metric
from collectors.nic import metrics as families
from collectors.nic.ethtool import Ethtool
from collectors.nic.recorded import parse_driver, parse_features, parse_statistics
from tests.collectors.nic.nic_lab import ENVIRONMENT, REPOSITORY, Namespace, namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "ethtool")]
ALL = {"ignore": ["lo"]}


@pytest.fixture
def lab() -> Iterator[Namespace]:
    with namespace() as made:
        yield made


def test_the_ioctls_say_what_the_ethtool_program_says(lab: Namespace) -> None:
    lab.run("ip link add one type veth peer name two")
    lab.run("ip link add three type bridge")
    lab.run("ip tuntap add four mode tap")
    lab.run("ethtool -K one sg off", check=False)
    script = (
        "import json\nfrom collectors.nic.ethtool import Ethtool\ne = Ethtool()\nout = {}\n"
        "for n in ('one', 'two', 'three', 'four'):\n"
        "    d = e.driver(n)\n"
        "    f = {k: [v.active, v.fixed] for k, v in e.features(n).items()}\n"
        "    out[n] = [d.name, d.version, d.bus, f, list(e.statistics(n, d))]\n"
        "print(json.dumps(out))"
    )
    said = json.loads(
        subprocess.run(
            ["ip", "netns", "exec", lab.name, sys.executable, "-c", script],
            cwd=REPOSITORY,
            env=ENVIRONMENT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    )
    for name in ("one", "two", "three", "four"):
        driver = parse_driver(lab.run(f"ethtool -i {name}", check=False))
        assert said[name][:3] == [driver.name, driver.version, driver.bus]
        printed = parse_features(lab.run(f"ethtool -k {name}"))
        assert said[name][3] == {short: [state.active, state.fixed] for short, state in printed.items()}, name
    assert said["one"][4] == list(parse_statistics(lab.run("ethtool -S one")))


@pytest.mark.parametrize("policy", [{"interface": "one", "offloads": {"sg": True, "tso": True}}])
def test_an_offload_switched_off_is_named_with_its_mend_and_heals(lab: Namespace, policy: dict[str, object]) -> None:
    lab.run("ip link add one type veth peer name two")
    collector = lab.collector("nic", {**ALL, "policy": [policy]})
    assert collector.look().level("nic_offload", "one") == 0
    lab.run("ethtool -K one sg off")
    seen = collector.until(lambda look: look.level("nic_offload", "one") == 1)
    assert "sg is off, should be on" in seen.message("nic_offload", "one")
    assert "tso is requested on but actually off" in seen.message("nic_offload", "one")
    assert seen.mend("nic_offload", "one") == "ethtool -K one sg on tso on"
    assert seen.metrics["nic_feature_enabled", "one", "sg"] == 0
    lab.run(seen.mend("nic_offload", "one"))
    collector.until(lambda look: look.level("nic_offload", "one") == 0)


def test_another_driver_under_the_same_name_is_told(lab: Namespace) -> None:
    lab.run("ip link add data0 type veth peer name two")
    collector = lab.collector("nic", {**ALL, "policy": [{"interface": "data*", "driver": "veth", "mtu": 1500}]})
    assert collector.look().level("nic_driver", "data0") == 0
    lab.run("ip link del data0")
    lab.run("ip link add two type dummy", check=False)
    lab.run("ip tuntap add data0 mode tap")
    seen = collector.until(lambda look: look.level("nic_driver", "data0") == 2)
    assert "driver is tun, should be veth" in seen.message("nic_driver", "data0")
    lab.run("ip link del data0")
    lab.run("ip link add base type veth peer name other")
    lab.run("ip link add link base name data0 type macvlan")
    seen = collector.until(
        lambda look: "macvlan" in look.message("nic_driver", "data0") if ("nic_driver", "data0") in look.verdicts else False
    )
    assert seen.level("nic_driver", "data0") == 2
    assert ("nic_driver", "two") not in seen.verdicts


def test_without_a_policy_a_change_of_driver_is_news_for_a_while(lab: Namespace, tmp_path: Path) -> None:
    lab.run("ip link add data0 type veth peer name two")
    slot = tmp_path / "slot"
    lab.collector("nic", ALL, slot).look()
    lab.run("ip link del data0")
    lab.run("ip tuntap add data0 mode tap")
    seen = lab.collector("nic", ALL, slot).look()  # another process: what it was before stands in the state
    assert seen.level("nic_driver", "data0") == 1
    assert re.search(r"driver was veth, is tun, since 20\d\d-", seen.message("nic_driver", "data0"))


def test_a_wrong_mtu_is_told_and_a_smaller_one_is_news(lab: Namespace) -> None:
    lab.run("ip link add one mtu 9000 type veth peer name two mtu 9000")
    collector = lab.collector("nic", {**ALL, "policy": [{"interface": "two", "mtu": 9000}]})
    assert collector.look().level("nic_mtu", "one") == 0
    lab.run("ip link set one mtu 1500")
    lab.run("ip link set two mtu 1500")
    seen = collector.until(lambda look: look.level("nic_mtu", "two") == 1)
    assert "MTU is 1500, should be 9000" in seen.message("nic_mtu", "two")
    assert seen.mend("nic_mtu", "two") == "ip link set two mtu 9000"
    assert "MTU fell from 9000 to 1500" in seen.message("nic_mtu", "one")


def test_a_flap_between_two_looks_is_counted_and_shown_at_once(lab: Namespace) -> None:
    lab.run("ip link add one type veth peer name two")
    lab.run("ip link set one up")
    lab.run("ip link set two up")
    collector = lab.collector("nic", ALL)
    before = collector.look().metrics["nic_carrier_changes", "one"]
    lab.run("ip link set two down")
    lab.run("ip link set two up")
    began = time.monotonic()
    seen = collector.until(lambda look: look.metrics["nic_carrier_changes", "one"] >= before + 2)
    assert seen.level("nic_link", "one") == 1
    assert "carrier changed 2 times" in seen.message("nic_link", "one")
    assert time.monotonic() - began < 10  # the ticks' own interval is the runner's; no full look was due


def test_a_lost_carrier_is_critical_at_the_next_tick_and_heals(lab: Namespace) -> None:
    lab.run("ip link add one type veth peer name two")
    lab.run("ip link set one up")
    lab.run("ip link set two up")
    collector = lab.collector("nic", ALL)
    assert collector.look().level("nic_link", "one") == 0
    lab.run("ip link set two down")
    assert collector.look().level("nic_link", "one") == 2
    lab.run("ip link set two up")
    assert collector.look().level("nic_link", "one") != 2


def test_an_interface_that_is_switched_off_is_no_fault(lab: Namespace) -> None:
    lab.run("ip link add one type veth peer name two")
    assert lab.collector("nic", ALL).look().level("nic_link", "one") == 0


@pytest.mark.fault(33)
def test_interfaces_that_vanish_and_change_names_meanwhile_do_no_harm(lab: Namespace) -> None:
    collector = lab.collector("nic", ALL)
    churn = "while :; do ip link add aa type veth peer name bb; ip link set aa name cc; ip link set cc up; ip link del cc; done"
    lab.start("sh", "-c", churn)
    for at in range(30):
        seen = collector.look(now=at % 2 == 0)
        assert all(value >= 0 for value in seen.metrics.values())


@pytest.mark.fault(34)
def test_a_flood_of_link_events_ends_in_a_full_look(lab: Namespace) -> None:
    lab.run("ip link add one type veth peer name two")
    collector = lab.collector("nic", ALL)
    collector.look()
    batch = "\n".join(f"link set one mtu {1500 + n % 2}" for n in range(6000)) + "\nlink add late type veth peer name later\n"
    path = Path(f"/tmp/{lab.name}.batch")
    path.write_text(batch)
    try:
        lab.run(f"ip -batch {path}")
    finally:
        path.unlink()
    assert ("nic_link", "late") in collector.look().verdicts


@pytest.mark.fault(33)
@pytest.mark.fault(14)
def test_a_thousand_veths_are_looked_at_and_series_stay_at_their_cap(lab: Namespace) -> None:

    batch = "\n".join(f"link add v{n} type veth peer name w{n}" for n in range(600)) + "\n"
    lab.start("ip", "-batch", "-", stdin=-1).communicate(batch)
    collector = lab.collector("nic", ALL)
    collector.look()
    seen = collector.look(now=True)
    assert seen.metrics["nic_interfaces_unread",] == 200
    assert len([1 for key in seen.metrics if key[0] == "nic_mtu_bytes"]) == 1000
    folded = Caps().fold([Metric(families.MTU, 1500, (key[1],)) for key in seen.metrics if key[0] == "nic_mtu_bytes"])
    assert len({metric.labels for metric in folded}) <= families.MOST + 1
    quiet = lab.collector("nic", {})
    assert not [1 for key in quiet.look().metrics if key[0] == "nic_mtu_bytes" and key[1].startswith("veth")]


@pytest.mark.fault(6)
@pytest.mark.parametrize("name", ["naïve", 'q"uote', "tab\tbed", "back\\slash", "new\nline"])
def test_an_interface_with_odd_letters_in_its_name_is_looked_at(lab: Namespace, name: str) -> None:
    made = subprocess.run(
        ["ip", "netns", "exec", lab.name, "ip", "link", "add", name, "type", "dummy"], env=ENVIRONMENT, check=False, capture_output=True
    )
    if made.returncode != 0:
        made = subprocess.run(
            ["ip", "netns", "exec", lab.name, "ip", "link", "add", name, "type", "veth"], env=ENVIRONMENT, check=False, capture_output=True
        )
    if made.returncode != 0:
        assert not name.isprintable(), made.stderr  # the kernel refuses white space in names (net/core/dev.c, dev_valid_name)
        return
    assert collector_names(lab) >= {name}


@pytest.mark.fault(6)
def test_an_interface_whose_name_is_no_utf8_is_looked_at(lab: Namespace) -> None:
    raw = b"bad\xff\xed\xb0\x80"  # not \xa0, which the kernel takes for a space
    subprocess.run(["ip", "netns", "exec", lab.name.encode(), "ip", "link", "add", raw, "type", "veth"], env=ENVIRONMENT, check=True)
    assert collector_names(lab) >= {raw.decode("utf-8", "surrogateescape")}


def collector_names(lab: Namespace) -> set[str]:
    return {str(key[1]) for key in lab.collector("nic", ALL).look(now=True).metrics if key[0] == "nic_mtu_bytes"}


@pytest.mark.fault(14)
def test_a_driver_with_ten_thousand_statistics_is_read_within_bounds(lab: Namespace) -> None:
    lab.run("ip link add many numtxqueues 2048 numrxqueues 2048 type veth peer name other numtxqueues 2048 numrxqueues 2048")
    script = (
        "from collectors.nic.ethtool import Ethtool\ne = Ethtool()\nd = e.driver('many')\n"
        "s = e.statistics('many', d)\nassert d.statistics > 10000, d\nassert len(s) == d.statistics\nprint(len(s))"
    )
    process = lab.start(sys.executable, "-c", script, stdout=-1, cwd=REPOSITORY)
    assert int(process.communicate(timeout=30)[0]) > 10_000


SHRINK = """
import errno, subprocess
from collectors.nic.ethtool import Ethtool
e, seen = Ethtool(), []
def queues(count):
    subprocess.run(["ethtool", "-L", "one", "rx", str(count), "tx", str(count)], check=True)
for count in (8, 1, 8, 3):
    before = e.driver("one")
    e.statistics("one", before)
    queues(count)  # between the question how many there are and the reading of them
    try:
        seen.append(len(e.statistics("one", before)) == before.statistics)
    except OSError as error:
        seen.append(errno.errorcode[error.errno])
    after = e.driver("one")
    assert len(e.statistics("one", after)) == after.statistics
toggle = subprocess.Popen(["sh", "-c", "while :; do ethtool -L one rx 1 tx 1; ethtool -L one rx 8 tx 8; done"])
torn = whole = 0
try:
    while torn + whole < 4000 and (torn < 1 or whole < 500):
        driver = e.driver("one")
        try:
            said = e.statistics("one", driver)
            assert len(said) == driver.statistics
            assert "peer_ifindex" in said
            whole += 1
        except OSError as error:
            assert error.errno == errno.EAGAIN
            torn += 1
finally:
    toggle.kill()
print(seen, whole > 0)
"""


@pytest.mark.fault(33)
def test_statistics_that_shrink_and_grow_while_they_are_read_are_never_mixed_up(lab: Namespace) -> None:
    lab.run("ip link add one numtxqueues 8 numrxqueues 8 type veth peer name two numtxqueues 8 numrxqueues 8")
    process = lab.start(sys.executable, "-c", SHRINK, stdout=-1, cwd=REPOSITORY)
    assert process.communicate(timeout=50)[0] == "[True, 'EAGAIN', 'EAGAIN', 'EAGAIN'] True\n"


@pytest.mark.fault(6)
def test_a_name_that_a_shell_would_run_is_quoted_in_the_mend(lab: Namespace) -> None:
    name = "a;reboot$(id)"
    subprocess.run(["ip", "netns", "exec", lab.name, "ip", "link", "add", name, "type", "veth"], env=ENVIRONMENT, check=True)
    collector = lab.collector("nic", {**ALL, "policy": [{"interface": "a*", "mtu": 9000, "offloads": {"sg": False}}]})
    seen = collector.look()
    assert seen.mend("nic_mtu", name) == "ip link set 'a;reboot$(id)' mtu 9000"
    assert seen.mend("nic_offload", name) == "ethtool -K 'a;reboot$(id)' sg off"


def test_an_interface_that_is_not_there_is_an_oserror_and_no_more() -> None:
    with pytest.raises(OSError, match="No such device"):
        Ethtool().driver("vnic-none")

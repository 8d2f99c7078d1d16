"""The collector in real namespaces, with real interfaces."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from collectors.nic.readers.recorded_ethtool import parse_driver, parse_features, parse_statistics
from tests.kit.nic_lab import ALL, ENVIRONMENT, REPOSITORY, Namespace

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "ethtool")]


def test_the_ioctls_say_what_the_ethtool_program_says(lab: Namespace) -> None:
    lab.run("ip link add one type veth peer name two")
    lab.run("ip link add three type bridge")
    lab.run("ip tuntap add four mode tap")
    lab.run("ethtool -K one sg off", check=False)
    script = (
        "import json\nfrom collectors.nic.readers.ethtool import Ethtool\ne = Ethtool()\nout = {}\n"
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
    assert collector.run_once().level("nic_offload", "one") == 0
    lab.run("ethtool -K one sg off")
    seen = collector.until(lambda result: result.level("nic_offload", "one") == 1)
    assert "sg is off, should be on" in seen.message("nic_offload", "one")
    assert "tso is requested on but actually off" in seen.message("nic_offload", "one")
    assert seen.remediation("nic_offload", "one") == "ethtool -K one sg on tso on"
    assert seen.metrics["nic_feature_enabled", "one", "sg"] == 0
    lab.run(seen.remediation("nic_offload", "one"))
    collector.until(lambda result: result.level("nic_offload", "one") == 0)


def test_another_driver_under_the_same_name_is_told(lab: Namespace) -> None:
    lab.run("ip link add data0 type veth peer name two")
    collector = lab.collector("nic", {**ALL, "policy": [{"interface": "data*", "driver": "veth", "mtu": 1500}]})
    assert collector.run_once().level("nic_driver", "data0") == 0
    lab.run("ip link del data0")
    lab.run("ip link add two type dummy", check=False)
    lab.run("ip tuntap add data0 mode tap")
    seen = collector.until(lambda result: result.level("nic_driver", "data0") == 2)
    assert "driver is tun, should be veth" in seen.message("nic_driver", "data0")
    lab.run("ip link del data0")
    lab.run("ip link add base type veth peer name other")
    lab.run("ip link add link base name data0 type macvlan")
    seen = collector.until(
        lambda result: "macvlan" in result.message("nic_driver", "data0") if ("nic_driver", "data0") in result.verdicts else False
    )
    assert seen.level("nic_driver", "data0") == 2
    assert ("nic_driver", "two") not in seen.verdicts


def test_without_a_policy_a_change_of_driver_is_news_for_a_while(lab: Namespace, tmp_path: Path) -> None:
    lab.run("ip link add data0 type veth peer name two")
    slot = tmp_path / "slot"
    lab.collector("nic", ALL, slot).run_once()
    lab.run("ip link del data0")
    lab.run("ip tuntap add data0 mode tap")
    seen = lab.collector("nic", ALL, slot).run_once()  # another process: what it was before stands in the state
    assert seen.level("nic_driver", "data0") == 1
    assert re.search(r"driver was veth, is tun, since 20\d\d-", seen.message("nic_driver", "data0"))


def test_a_wrong_mtu_is_told_and_a_smaller_one_is_news(lab: Namespace) -> None:
    lab.run("ip link add one mtu 9000 type veth peer name two mtu 9000")
    collector = lab.collector("nic", {**ALL, "policy": [{"interface": "two", "mtu": 9000}]})
    assert collector.run_once().level("nic_mtu", "one") == 0
    lab.run("ip link set one mtu 1500")
    lab.run("ip link set two mtu 1500")
    seen = collector.until(lambda result: result.level("nic_mtu", "two") == 1)
    assert "MTU is 1500, should be 9000" in seen.message("nic_mtu", "two")
    assert seen.remediation("nic_mtu", "two") == "ip link set two mtu 9000"
    assert "MTU fell from 9000 to 1500" in seen.message("nic_mtu", "one")


def test_a_flap_between_two_looks_is_counted_and_shown_at_once(lab: Namespace) -> None:
    lab.run("ip link add one type veth peer name two")
    lab.run("ip link set one up")
    lab.run("ip link set two up")
    collector = lab.collector("nic", ALL)
    before = collector.run_once().metrics["nic_carrier_changes", "one"]
    lab.run("ip link set two down")
    lab.run("ip link set two up")
    began = time.monotonic()
    seen = collector.until(lambda result: result.metrics["nic_carrier_changes", "one"] >= before + 2)
    assert seen.level("nic_link", "one") == 1
    assert "carrier changed 2 times" in seen.message("nic_link", "one")
    assert time.monotonic() - began < 10  # the ticks' own interval is the runner's; no full look was due


def test_a_lost_carrier_is_critical_at_the_next_tick_and_heals(lab: Namespace) -> None:
    lab.run("ip link add one type veth peer name two")
    lab.run("ip link set one up")
    lab.run("ip link set two up")
    collector = lab.collector("nic", ALL)
    assert collector.run_once().level("nic_link", "one") == 0
    lab.run("ip link set two down")
    assert collector.run_once().level("nic_link", "one") == 2
    lab.run("ip link set two up")
    assert collector.run_once().level("nic_link", "one") != 2


def test_an_interface_that_is_switched_off_is_no_fault(lab: Namespace) -> None:
    lab.run("ip link add one type veth peer name two")
    assert lab.collector("nic", ALL).run_once().level("nic_link", "one") == 0


@pytest.mark.fault(33)
def test_interfaces_that_vanish_and_change_names_meanwhile_do_no_harm(lab: Namespace) -> None:
    collector = lab.collector("nic", ALL)
    churn = "while :; do ip link add aa type veth peer name bb; ip link set aa name cc; ip link set cc up; ip link del cc; done"
    lab.start("sh", "-c", churn)
    for at in range(30):
        seen = collector.run_once(full_scan=at % 2 == 0)
        assert all(value >= 0 for value in seen.metrics.values())


@pytest.mark.fault(34)
def test_a_flood_of_link_events_ends_in_a_full_look(lab: Namespace) -> None:
    lab.run("ip link add one type veth peer name two")
    collector = lab.collector("nic", ALL)
    collector.run_once()
    batch = "\n".join(f"link set one mtu {1500 + n % 2}" for n in range(6000)) + "\nlink add late type veth peer name later\n"
    path = Path(f"/tmp/{lab.name}.batch")
    path.write_text(batch)
    try:
        lab.run(f"ip -batch {path}")
    finally:
        path.unlink()
    assert ("nic_link", "late") in collector.run_once().verdicts

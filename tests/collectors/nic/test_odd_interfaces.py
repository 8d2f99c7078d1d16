"""Interfaces and drivers as nobody expects them: names, numbers, and what changes while it is read."""

from __future__ import annotations

import subprocess
import sys

import pytest

from collectors.cardinality import Caps
from collectors.model import Metric
from collectors.nic import metrics as families
from collectors.nic.readers.ethtool import Ethtool
from tests.kit.nic_lab import ALL, ENVIRONMENT, REPOSITORY, Namespace

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "ethtool")]


@pytest.mark.fault(33)
@pytest.mark.fault(14)
def test_a_thousand_veths_are_looked_at_and_series_stay_at_their_cap(lab: Namespace) -> None:

    batch = "\n".join(f"link add v{n} type veth peer name w{n}" for n in range(600)) + "\n"
    lab.start("ip", "-batch", "-", stdin=-1).communicate(batch)
    collector = lab.collector("nic", ALL)
    collector.run_once()
    seen = collector.run_once(full_scan=True)
    assert seen.metrics["nic_interfaces_skipped",] == 200
    assert len([1 for key in seen.metrics if key[0] == "nic_mtu_bytes"]) == 1000
    folded = Caps().fold([Metric(families.MTU, 1500, (key[1],)) for key in seen.metrics if key[0] == "nic_mtu_bytes"])
    assert len({metric.labels for metric in folded}) <= families.MOST + 1
    quiet = lab.collector("nic", {})
    assert not [1 for key in quiet.run_once().metrics if key[0] == "nic_mtu_bytes" and key[1].startswith("veth")]


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
    return {str(key[1]) for key in lab.collector("nic", ALL).run_once(full_scan=True).metrics if key[0] == "nic_mtu_bytes"}


@pytest.mark.fault(14)
def test_a_driver_with_ten_thousand_statistics_is_read_within_bounds(lab: Namespace) -> None:
    lab.run("ip link add many numtxqueues 2048 numrxqueues 2048 type veth peer name other numtxqueues 2048 numrxqueues 2048")
    script = (
        "from collectors.nic.readers.ethtool import Ethtool\ne = Ethtool()\nd = e.driver('many')\n"
        "s = e.statistics('many', d)\nassert d.statistics > 10000, d\nassert len(s) == d.statistics\nprint(len(s))"
    )
    process = lab.start(sys.executable, "-c", script, stdout=-1, cwd=REPOSITORY)
    assert int(process.communicate(timeout=30)[0]) > 10_000


SHRINK = """
import errno, subprocess
from collectors.nic.readers.ethtool import Ethtool
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
    seen = collector.run_once()
    assert seen.remediation("nic_mtu", name) == "ip link set 'a;reboot$(id)' mtu 9000"
    assert seen.remediation("nic_offload", name) == "ethtool -K 'a;reboot$(id)' sg off"


def test_an_interface_that_is_not_there_is_an_oserror_and_no_more() -> None:
    with pytest.raises(OSError, match="No such device"):
        Ethtool().driver("vnic-none")

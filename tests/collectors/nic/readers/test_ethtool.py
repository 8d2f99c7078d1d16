"""The ethtool ioctls beside the ethtool program, and while statistics come and go."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from collectors.nic.readers.ethtool import Ethtool
from collectors.nic.readers.recorded_ethtool import parse_driver, parse_features, parse_statistics
from tests.kit.nic_lab import ENVIRONMENT, REPOSITORY, Namespace

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "ethtool")]


def test_the_ioctls_return_what_the_ethtool_program_prints(lab: Namespace) -> None:
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
    found = json.loads(
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
        assert found[name][:3] == [driver.name, driver.version, driver.bus]
        printed = parse_features(lab.run(f"ethtool -k {name}"))
        assert found[name][3] == {short: [state.active, state.fixed] for short, state in printed.items()}, name
    assert found["one"][4] == list(parse_statistics(lab.run("ethtool -S one")))


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
e, outcomes = Ethtool(), []
def queues(count):
    subprocess.run(["ethtool", "-L", "one", "rx", str(count), "tx", str(count)], check=True)
for count in (8, 1, 8, 3):
    before = e.driver("one")
    e.statistics("one", before)
    queues(count)  # between reading their number and reading them
    try:
        outcomes.append(len(e.statistics("one", before)) == before.statistics)
    except OSError as error:
        outcomes.append(errno.errorcode[error.errno])
    after = e.driver("one")
    assert len(e.statistics("one", after)) == after.statistics
toggle = subprocess.Popen(["sh", "-c", "while :; do ethtool -L one rx 1 tx 1; ethtool -L one rx 8 tx 8; done"])
torn = whole = 0
try:
    while torn + whole < 4000 and (torn < 1 or whole < 500):
        driver = e.driver("one")
        try:
            found = e.statistics("one", driver)
            assert len(found) == driver.statistics
            assert "peer_ifindex" in found
            whole += 1
        except OSError as error:
            assert error.errno == errno.EAGAIN
            torn += 1
finally:
    toggle.kill()
print(outcomes, whole > 0)
"""


@pytest.mark.fault(33)
def test_statistics_whose_number_changes_during_a_read_are_never_mixed_up(lab: Namespace) -> None:
    lab.run("ip link add one numtxqueues 8 numrxqueues 8 type veth peer name two numtxqueues 8 numrxqueues 8")
    process = lab.start(sys.executable, "-c", SHRINK, stdout=-1, cwd=REPOSITORY)
    assert process.communicate(timeout=50)[0] == "[True, 'EAGAIN', 'EAGAIN', 'EAGAIN'] True\n"


def test_a_missing_interface_is_an_oserror() -> None:
    with pytest.raises(OSError, match="No such device"):
        Ethtool().driver("vnic-none")

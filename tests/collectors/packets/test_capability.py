"""CAP_NET_RAW as the unit gives it: ambient, to an ordinary user. The daemon goes on without it, the packet child gets it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kit.probe_lab import Lab

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "setpriv")]

CAPABILITIES = "-all,+net_raw,+dac_read_search"  # the second as in holders.conf: others stay as they are (and find the interpreter here)
AS_THE_UNIT_DOES = (
    *("setpriv", "--reuid=65534", "--clear-groups", "--no-new-privs"),
    *(f"--inh-caps={CAPABILITIES}", f"--ambient-caps={CAPABILITIES}"),
)

PROGRAM = """
import json, subprocess, sys, threading
from collectors.packets import capability
from collectors.packets.client import PacketClient
from collectors.path_mtu.search import search
from collectors.packets.protocol import Endpoint

def child():
    code = "import json; from collectors.packets.capability import thread_sets; print(json.dumps(thread_sets()))"
    return json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)

def later():
    said["thread"], said["at hand"] = capability.thread_sets(), capability.is_available()
    place = Endpoint("10.77.1.1", "10.77.1.2", 80, 1500)
    said["found"] = PacketClient().run({"x": (place, search(place))}, 20).found["x"].mtu
    said["thread after"], said["other child"] = capability.thread_sets(), child()

def effective():
    return next(line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff"))

said = {"before": capability.thread_sets()}
capability.drop()
said["effective"] = effective()
said["after"] = capability.thread_sets()
thread = threading.Thread(target=later)
thread.start()
thread.join()
print(json.dumps(said))
"""


@pytest.mark.fault(13)
def test_the_daemon_sets_it_aside_and_only_the_packet_child_gets_it(lab: Lab) -> None:
    lab.serve(lab.far, "80")
    said = json.loads(lab.inside(lab.near, *AS_THE_UNIT_DOES, sys.executable, "-c", PROGRAM))
    assert said["before"]["Eff"]
    assert said["before"]["Amb"]
    aside = {"Inh": True, "Prm": True, "Eff": False, "Bnd": True, "Amb": False}
    assert said["after"] == said["thread"] == said["thread after"] == aside
    assert int(said["effective"], 16) == 1 << 2  # CAP_DAC_READ_SEARCH
    assert said["at hand"]
    assert said["found"] == 1500
    assert not said["other child"]["Eff"]
    assert not said["other child"]["Prm"]

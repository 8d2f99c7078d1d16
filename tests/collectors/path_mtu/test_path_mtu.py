"""Path MTU over real paths that are narrow in the middle, and a helper that fails."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.path_lab import FAR, FAR6, path
from tests.kit.probe_lab import RUN_PATH_MTU

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.probe_lab import Lab

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "nft")]


def test_a_black_hole_is_found_and_measured_without_any_icmp(tmp_path: Path) -> None:
    with path(tmp_path, middle=1500) as lab:
        lab.serve(lab.far, "80")
        lab.block_icmp()
        output = lab.search(FAR, FAR6, "10.98.3.2:99")["targets"]
        for target in output:
            assert (output[target]["metric"], output[target]["black_hole"], output[target]["level"]) == (1500, True, 2), target
        assert "packets above 1500 bytes are lost without an ICMP error" in output[FAR]["message"]
        assert lab.half_open() == ""


@pytest.mark.fault(13)
def test_without_the_capability_it_is_unavailable(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        script = RUN_PATH_MTU
        words = ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
        output = json.loads(lab.inside(lab.near, *words, sys.executable, script, json.dumps({"targets": [FAR]})))
        assert output["unavailable"].startswith("permission: crafted packets need CAP_NET_RAW")


def test_a_link_local_target_is_reached_over_its_own_interface(lab: Lab) -> None:
    lab.serve(lab.far, "80")
    lab.ip("-n", lab.far, "addr", "add", "fe80::77/64", "dev", "wire", "nodad")
    lab.ip("-n", lab.near, "addr", "add", "fe80::78/64", "dev", "wire", "nodad")
    order = json.dumps({"targets": ["[fe80::77%wire]:80"]})
    output = json.loads(lab.inside(lab.near, sys.executable, RUN_PATH_MTU, order))
    assert output["targets"]["[fe80::77%wire]:80"]["metric"] == 1500


READY = "import os, sys; print('{\"ready\": true}', flush=True); "
WAIT = "; sys.stdin.read()"
BAD_CHILDREN = {
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": "was killed by SIGKILL",
    READY + "os.kill(os.getpid(), 11)": "was killed by SIGSEGV",
    READY + "import time; time.sleep(60)": "did not answer in time",
    "import sys; print('all is well', flush=True)" + WAIT: "sent an invalid answer",
    READY + 'print(\'{"id": 77, "kind": "syn_ack"}\', flush=True)' + WAIT: "answered probe 77, which is not in flight",
    READY + 'print(\'{"id": 1, "kind": "fine"}\', flush=True)' + WAIT: "an invalid answer: Invalid enum value 'fine'",
    READY + "print('x' * 100000, flush=True)" + WAIT: "sent a line of more than",
    READY + "os.write(1, bytes(range(256)) + b'\\n')" + WAIT: "an invalid answer: JSON is malformed",
    "raise SystemExit(3)": "ended with status 3",
}


@pytest.mark.parametrize(("program", "complaint"), BAD_CHILDREN.items(), ids=BAD_CHILDREN.values())
def test_a_helper_that_fails_costs_the_round_and_nothing_else(lab: Lab, program: str, complaint: str) -> None:
    order: dict[str, Any] = {"targets": ["10.77.1.2:80"], "command": [sys.executable, "-c", program], "seconds": 1}
    output = json.loads(lab.inside(lab.near, sys.executable, RUN_PATH_MTU, json.dumps(order)))
    assert complaint in output["failure"]
    assert output["children"] == [""]


def test_what_was_found_before_the_helper_hung_is_kept(lab: Lab) -> None:
    program = READY + 'print(\'{"id": 1, "kind": "silent"}\', flush=True); import time; time.sleep(60)'
    order = {"targets": ["10.77.1.2:80", "10.77.1.2:81"], "command": [sys.executable, "-c", program], "seconds": 1}
    output = json.loads(lab.inside(lab.near, sys.executable, RUN_PATH_MTU, json.dumps(order)))
    assert (output["failure"], len(output["targets"]), output["children"]) == ("", 1, [""])

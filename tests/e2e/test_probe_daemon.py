"""The whole daemon on a path of four hosts: path MTUs, a target that turns bad, and the finding of `vitald check`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.kit.path_lab import FAR, FAR6, PathLab, path

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "nft")]

GET = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=30).read().decode())"
SETTINGS = f'[probe]\ninterval = "1s"\ntimeout = "900ms"\ntargets = ["{FAR}", "{FAR6}", "10.98.3.2:81"]\n'


def metric(lab: PathLab, url: str, pattern: str) -> float | None:
    found = re.search(pattern, lab.inside(lab.near, sys.executable, "-c", GET, url))
    return float(found[1]) if found else None


def wait_for(lab: PathLab, url: str, pattern: str, above: float) -> float:
    deadline = time.monotonic() + 90
    while (value := metric(lab, url, pattern)) is None or value <= above:
        assert time.monotonic() < deadline, f"{pattern} did not rise above {above}"
        time.sleep(0.3)
    return value


@pytest.mark.fault(41)
def test_a_target_that_turns_bad_is_diagnosed_at_once(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        lab.serve(lab.far, "80", "81")
        file = tmp_path / "vitald.toml"
        file.write_text(SETTINGS)
        flags = [f"--config.file={file}", "--web.listen-address=127.0.0.1:0", f"--state.directory={tmp_path}"]
        log = (tmp_path / "log").open("wb")
        process = subprocess.Popen(
            ["ip", "netns", "exec", lab.near, sys.executable, "-m", "daemon", "run", *flags], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            url = wait_for_line(tmp_path / "log", r"url=(http\S+?)\"")
            mtu = r'vitald_probe_path_mtu_bytes\{target="10\.98\.3\.2:80"\} (\S+)'
            assert wait_for(lab, url, mtu, 0) == 9001
            runs = r'vitald_collector_last_success_timestamp_seconds\{collector="path_mtu"\} (\S+)'
            before = metric(lab, url, runs) or 0.0
            lab.filter(lab.first, "forward", "tcp dport 80 drop")
            wait_for(lab, url, runs, before)  # interval = 5m: it was woken
            wait_for(lab, url, r'vitald_health\{check="tcp_probe",subject="10\.98\.3\.2:80"\} (\S+)', 1)
            wait_for_line(tmp_path / "log", r"(target=10\.98\.3\.2:80 cause=SYN-ACK missing)")
            assert wait_for(lab, url, r'vitald_probe_path_mtu_bytes\{target="10\.98\.3\.2:81"\} (\S+)', 0) == 9001
        finally:
            process.terminate()
            assert process.wait(30) == 0
            log.close()
        output = (tmp_path / "log").read_text()
        assert output.count("target=10.98.3.2:80 cause=SYN-ACK missing after hop 1 10.98.1.1") == 1  # once for each change of state
        assert "Traceback" not in output
        check_says_why(lab, file)


def wait_for_line(log: Path, pattern: str) -> str:
    deadline = time.monotonic() + 90
    while not (found := re.search(pattern, log.read_text())):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return found[1]


def check_says_why(lab: PathLab, file: Path) -> None:
    words = [sys.executable, "-m", "daemon", "check", f"--config.file={file}", "--format", "json"]
    done = subprocess.run(["ip", "netns", "exec", lab.near, *words], capture_output=True, text=True, check=False, timeout=60)
    findings = {(one["check"], one["subject"]): one for one in json.loads(done.stdout)["findings"]}
    bad = findings["tcp_probe", FAR]
    assert "SYN-ACK missing after hop 1 10.98.1.1; neighbour" in bad["message"]
    assert bad["evidence"]["diagnosis"]["trace"][0]["address"] == "10.98.1.1"
    assert findings["path_mtu", "10.98.3.2:81"]["evidence"]["mtu"] == 9001
    assert findings["path_mtu", FAR]["level"] == "healthy"

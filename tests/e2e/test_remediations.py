"""Each command that vitald tells people to run, tried: in a namespace with a peer, and in a booted systemd with the service."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit import remediations
from tests.kit.dhcp_lab import dhcp_server, request_lease
from tests.kit.nic_lab import ENVIRONMENT, Namespace, namespace
from tests.kit.rulebook import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.service import Service
    from tests.kit.remediations import Remediation

pytestmark = [pytest.mark.fault(148), pytest.mark.needs("ip", "ethtool", "nft", "dhclient", "dnsmasq", "lsof", "ping", "arping")]

LISTENERS = """
import socket, time
kept = [socket.create_server(("10.0.0.9", port)) for port in (22, 443, 5432)]
time.sleep(3600)
"""
SILENT = {  # exit status 1 with nothing printed is the answer "there is none"
    "grep": "nothing is in this state here",
    "findmnt": "nothing is read-only here",
}
NOT_IN_A_NAMESPACE = {  # commands of programs of `remediations.LAB` that read or set what a namespace or this machine does not have
    "sudo vitald status": "the daemon is in the container",
    "vitald check": "reads all of this machine; run in the container",
    "nf_conntrack": "the table is there only in a namespace with a firewall that tracks connections",
    "gc_thresh3": "not per namespace",
    "hung_task_warnings": "this kernel does not look for hung tasks",
    "kmemleak": "this kernel has no kmemleak",
    "clocksource": "printed by a machine with a clock source of its own",
    "/proc/driver/nvidia": "needs an NVIDIA GPU",
    "bonding": "needs the bonding driver",
    "/proc/mdstat": "needs the md driver",
    "/proc/fs/cifs": "needs a CIFS mount",
    "nvme_core": "needs an NVMe device",
    "vitald.service/cpu.stat": "run in the container",
    "/var/lib/vitald": "run in the container",
    "/run/log/journal": "one of the two folders exists on a host; for the other df exits with 1",
    "/lib/modules": "this machine's kernel has no modules",
    "/sys/bus/pci": "needs a bus with that device",
    "dmesg -n": "sets the console of this machine",
    "ethtool -m": "needs a module with an EEPROM",
    "ethtool -S": "a veth has no allowance counters",
    "lro off": "a veth has no LRO",
    "rx off": "checked with the others by -k",
    "id vitald": "run in the container",
    "--mtu": "needs jumbo frames; run by tests/e2e/test_probe_path_mtu.py",
    "rpcinfo": "needs an NFS server",
    "169.254.169.254": "there is no instance metadata here",
    "vitald rules >": "writes a file; run by tests/exporters/prometheus/rules/test_rules_printed.py",
    "openssl x509": "needs the certificate of the host",
    "json.tool": "needs the target file of the host",
    "dmesg": "the kernel log of this machine; run in the container",
    "lsof": "lists all of this machine",
    "-u vitald": "run in the container",
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    """A host 10.0.0.5 with eth0, and a peer 10.0.0.9 behind it that listens on some ports."""
    with namespace("vdrem") as host, namespace("vdrep") as peer:
        host.run(f"ip link add eth0 type veth peer name eth0 netns {peer.name}")
        for each, address in ((host, "10.0.0.5"), (peer, "10.0.0.9")):
            each.run(f"ip addr add {address}/24 dev eth0")
            each.run("ip link set eth0 mtu 9001 up")
            each.run("ip link set lo up")
        host.run("ip route add default via 10.0.0.9")
        peer.start(sys.executable, "-c", LISTENERS)
        tools = tmp_path_factory.mktemp("bin")
        (tools / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
        (tools / "sudo").chmod(0o755)
        (tools / "vitald").write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m daemon "$@"\n')
        (tools / "vitald").chmod(0o755)
        host.tools = tools  # type: ignore[attr-defined]
        time.sleep(1)
        yield host


def run(lab: Namespace, text: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a block as a person would: in bash, all of it."""
    environment = {**ENVIRONMENT, "PATH": f"{lab.tools}:{ENVIRONMENT['PATH']}", "IFACE": "eth0"}  # type: ignore[attr-defined]
    for restore in ("ip link set dev eth0 mtu 9001 up", "ip route flush 10.0.0.9", "ip route replace default via 10.0.0.9"):
        lab.run(restore, check=False)
    words = ["ip", "netns", "exec", lab.name, "bash", "-e", "-c", text]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=timeout)


def is_for_the_lab(each: Remediation) -> bool:
    return each.programs <= remediations.LAB and not any(part in each.text for part in NOT_IN_A_NAMESPACE)


FOR_THE_LAB = {each.text: each for each in remediations.every() if is_for_the_lab(each)}


def test_no_exception_is_left_of_a_command_that_is_gone() -> None:
    texts = "\n".join(each.text for each in remediations.every())
    assert [part for part in NOT_IN_A_NAMESPACE if part not in texts] == []


@pytest.mark.parametrize("text", FOR_THE_LAB, ids=[f"{each.where}-{number}" for number, each in enumerate(FOR_THE_LAB.values())])
def test_a_command_runs_on_a_host_with_a_peer(lab: Namespace, text: str) -> None:
    done = run(lab, re.sub(r"-c (\d{2,3})\b", "-c 3", text))
    empty = done.returncode == 1 and not done.stdout and not done.stderr and any(word in text for word in SILENT)
    in_use = done.returncode == 1 and text.startswith("arping -D") and "reply from 10.0.0.9" in done.stdout
    assert done.returncode == 0 or empty or in_use, f"{text}\nexit status {done.returncode}\n{done.stdout}\n{done.stderr}"


def block(where: str, part: str) -> str:
    """Return the only block of a runbook that has this text."""
    (found,) = (each.text for each in remediations.runbook_blocks("sh") if each.where == where and part in each.text)
    return found


def test_the_route_of_a_target_gets_a_smaller_mtu(lab: Namespace) -> None:
    run(lab, block("PathMtuBlackHole", "ip route replace"))
    assert "mtu 1500" in lab.run("ip route show 10.0.0.9")
    assert "10.0.0.9 dev eth0" in lab.run("ip route get 10.0.0.9")
    lab.run("ip route del 10.0.0.9")


def test_the_offload_is_switched_off(lab: Namespace) -> None:
    run(lab, block("SkbRidesTheRocket", "sg off"))
    assert "scatter-gather: off" in lab.run("ethtool -k eth0")
    run(lab, block("NicOffloadDrift", "FEATURE=sg"))
    assert "scatter-gather: on" in lab.run("ethtool -k eth0")


def test_an_interface_that_is_set_down_and_up_is_up(lab: Namespace) -> None:
    run(lab, block("NicTrafficCollapsed", "set dev $IFACE down"))
    assert "state DOWN" not in lab.run("ip link show eth0")
    assert "10.0.0.5" in lab.run("ip addr show eth0")


def test_a_process_in_state_d_is_listed(lab: Namespace) -> None:
    """A parent of vfork(2) is in state D until its child ends."""
    program = (
        "import ctypes, time\nlibc = ctypes.CDLL(None)\nimport os, subprocess\nif libc.vfork() == 0:\n    time.sleep(20); os._exit(0)\n"
    )
    process = lab.start(sys.executable, "-c", program)
    try:
        deadline = time.monotonic() + 10
        while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "D":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert re.search(rf"^D +{process.pid} ", run(lab, block("StorageFailing", "ps -eo state")).stdout, flags=re.MULTILINE)
    finally:
        process.kill()


def test_an_address_outlives_its_lease_after_the_remediation_and_so_does_the_default_route(tmp_path: Path) -> None:
    """The server is gone. In a pid namespace of its own, because the block stops every dhclient that it sees."""
    keep = block("DhcpLeaseExpiring", "pkill -x dhclient")
    (tmp_path / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (tmp_path / "sudo").chmod(0o755)
    with namespace("vdkeep") as client:
        client.run("ip link add one type veth peer name two")
        client.run("ip link set one up")
        with dhcp_server(client) as server:
            request_lease(client)
            server.terminate()
            server.wait(10)
            own = subprocess.run(["ip", "netns", "pids", client.name], capture_output=True, text=True, check=True).stdout.split()
            stop = (
                f"kill {' '.join(own)}"  # pkill sees all processes of this machine: the same signal, to the clients of this namespace only
            )
            assert "sudo pkill -x dhclient\n" in keep
            text = keep.replace("sudo pkill -x dhclient", stop)
            environment = {**os.environ, "PATH": f"{tmp_path}:{ENVIRONMENT['PATH']}"}
            words = ["ip", "netns", "exec", client.name, "bash", "-e", "-c", text]
            subprocess.run(words, env=environment, check=True, timeout=60)
            kept = client.run("ip -4 -o addr show dev one")
            assert "/24 " in kept
            assert "valid_lft forever" in kept
            time.sleep(130)  # longer than the lease
            assert client.run("ip -4 -o addr show dev one") == kept
            assert "default via 10.97.0.1 dev one" in client.run("ip route")


CONTAINER = [
    each
    for each in remediations.every()
    if each.programs & remediations.SYSTEMD
    or re.search(r"sudo vitald (status|check)|-u vitald|/var/lib/vitald|cpu\.stat|id vitald", each.text)
]
NOT_IN_THE_CONTAINER = {
    "systemctl restart vitald": "restarts the service of the other tests",
    "systemctl revert vitald": "removes the drop-ins of the other tests",
    "kill -s ABRT vitald": "kills the service of the other tests",
    "restart systemd-journald": "run by tests/e2e/test_logs_machine.py",
    "set-property": "needs a unit that may be limited",
    'restart "$UNIT"': "needs a unit that may be restarted",
    "systemctl restart vitald.service": "restarts the service of the other tests",
    "systemctl start vitald.service": "runs already",
    "systemctl reload vitald": "run by tests/e2e/test_service.py",
    "coredumpctl": "needs systemd-coredump",
    "nfs-server": "needs an NFS server",
    "systemd-cgtop": "needs a terminal",
    "chronyc": "sets the clock",
    "--verify": "reads the whole journal",
    "cpu.stat": "the cgroup of a container stands below another one",
    "systemd-cgls": "the cgroup of a container stands below another one",
}


@pytest.mark.parametrize("text", sorted({each.text for each in CONTAINER if not any(part in each.text for part in NOT_IN_THE_CONTAINER)}))
def test_a_command_runs_on_a_host_with_systemd_and_the_service(service: Service, text: str) -> None:
    shim = 'sudo() { "$@"; }; '
    done = service.host.run("bash", "-c", f"{shim}{text}", check=False)
    findings = "vitald check" in text or "vitald status" in text  # 1 and 2: there are findings
    nothing = done.returncode == 1 and not done.stderr and ("grep" in text or "-- No entries --" in done.stdout)
    assert done.returncode == 0 or (findings and done.returncode in (1, 2, 3)) or nothing, (
        f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    )
    assert "command not found" not in done.stderr


def test_the_threads_of_the_service_are_listed(service: Service) -> None:
    text = block("CollectorStuck", "ps -L").removeprefix("sudo ")
    assert "vitald" in service.host.run("sh", "-c", text).stdout


def test_the_log_of_any_dhcp_client_is_found_whichever_it_is(service: Service) -> None:
    service.host.run("logger", "-t", "dhclient", "No DHCPOFFERS received.")
    text = block("DhcpLeaseExpiring", "journalctl").removeprefix("sudo ")
    deadline = time.monotonic() + 20
    while "No DHCPOFFERS received." not in service.host.run("sh", "-c", f"{text} --no-pager", check=False).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_the_programs_of_the_lab_are_here() -> None:
    assert [name for name in remediations.LAB - {"vitald", "sh"} if shutil.which(name, path=ENVIRONMENT["PATH"]) is None] == []

"""What the unit grants and denies, tried under systemd."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.service import Service
    from tests.kit.container import Container
    from tests.kit.prometheus import Prometheus

NO_CAPABILITY = "[Service]\nCapabilityBoundingSet=\nAmbientCapabilities=\n"
NET_RAW = 1 << 13  # linux/capability.h

IMPORT_EVERYTHING = """
import importlib, pkgutil
tops = ("collectors", "exporters", "daemon")
names = [m.name for top in tops for m in pkgutil.walk_packages(importlib.import_module(top).__path__, top + ".")]
for name in names:
    name.endswith("__main__") or importlib.import_module(name)
for name in ("scapy.all", "rich.table", "pyroute2", "psutil", "bcrypt", "ssl", "ctypes", "yaml"):
    importlib.import_module(name)
print(len(names), "modules")
"""


@pytest.mark.fault(57)
def test_systemd_analyze_verify_reports_nothing(service: Service) -> None:
    done = service.host.run("systemd-analyze", "verify", "vitald.service")
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.fault(57)
def test_the_running_unit_is_exposed_by_at_most_two(service: Service) -> None:
    output = service.host.run("systemd-analyze", "security", "--no-pager", "vitald.service").stdout
    found = re.search(r"Overall exposure level for vitald\.service: ([0-9.]+)", output)
    assert found, output
    assert float(found[1]) <= 2.0


@pytest.mark.fault(57)
def test_without_any_capability_no_collector_fails(service: Service, prometheus: Prometheus) -> None:
    since = service.cursor()
    service.drop_in(NO_CAPABILITY)
    status = _status(service.pid())
    assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0000000000000000"}
    prometheus.wait_for("min(vitald_probe_attempts_total) >= 2")
    assert prometheus.query("vitald_collector_success == 0") == {}
    broken = [e for e in service.journal(since) if int(e["PRIORITY"]) <= 3 and "tcp_probe" not in str(e["MESSAGE"])]
    assert broken == []  # that the refused target is critical, which comes a moment later, is a finding about the target


def test_it_runs_as_its_own_user_with_one_capability_and_two_groups(service: Service) -> None:
    def number(kind: str, name: str) -> str:
        return service.host.run("getent", kind, name).stdout.split(":")[2]

    status = _status(service.pid())
    assert status["Uid"].split() == [number("passwd", "vitald")] * 4
    assert set(status["Groups"].split()) == {number("group", name) for name in ("vitald", "systemd-journal", "adm")}
    assert int(status["CapPrm"], 16) == int(status["CapInh"], 16) == int(status["CapBnd"], 16) == NET_RAW
    assert int(status["CapEff"], 16) == int(status["CapAmb"], 16) == 0  # only in the packet helper is it effective
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_the_packet_helper_works_in_the_sandbox_with_the_capability_that_the_daemon_dropped(
    service: Service, prometheus: Prometheus
) -> None:
    prometheus.wait_for('vitald_probe_path_mtu_bytes{target="10.98.0.2:7001"} >= 1500')
    assert prometheus.query('vitald_collector_available{collector="path_mtu"} == 0') == {}
    status = _status(service.pid())
    assert (int(status["CapPrm"], 16), int(status["CapEff"], 16), int(status["CapAmb"], 16)) == (NET_RAW, 0, 0)


@pytest.mark.fault(57)
def test_everything_imports_where_memory_cannot_be_written_and_executed(service: Service) -> None:
    done = service.host.run(
        *("systemd-run", "--quiet", "--pipe", "--wait", "--property=User=vitald", "--property=MemoryDenyWriteExecute=yes"),
        *("/opt/vitald/current/bin/python", "-Ic", IMPORT_EVERYTHING),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 20


@pytest.fixture
def kmsg(host: Container) -> Iterator[None]:
    """Create the /dev/kmsg that every real host has."""
    node = host.file("/dev/kmsg")
    os.mknod(node, 0o644 | stat.S_IFCHR, os.makedev(1, 11))
    yield
    node.unlink()
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "restart", "vitald")


READ_STDIN = """
[Service]
Type=simple
WatchdogSec=0
Restart=no
ExecStart=
ExecStart=/opt/vitald/current/bin/python -c "import os; print('a record:', os.read(0, 9000).partition(b';')[0].decode())"
"""


@pytest.mark.fault(13)
def test_without_a_kmsg_it_starts(service: Service) -> None:
    assert not service.host.file("/dev/kmsg").exists()
    assert service.show("DropInPaths") == ""
    assert Path(f"/proc/{service.pid()}/fd/0").readlink() == Path("/dev/null")


@pytest.mark.usefixtures("kmsg")
def test_kmsg_is_passed_open_and_is_read_without_a_capability(service: Service) -> None:
    service.host.run("systemctl", "daemon-reload")
    service.systemctl("restart")
    assert os.stat(f"/proc/{service.pid()}/fd/0").st_rdev == os.makedev(1, 11)  # noqa: PTH116 — through the link
    assert int(_status(service.pid())["CapPrm"], 16) == NET_RAW
    since = service.cursor()
    service.drop_in(NO_CAPABILITY + READ_STDIN)
    line = service.wait_for_line(since, "a record:")
    assert re.fullmatch(r"a record: \d+,\d+,\d+,.*", str(line["MESSAGE"]))


def test_the_sandbox_denies_what_the_unit_does_not_grant(service: Service) -> None:
    assert (
        service.run_in_sandbox(TRY, "tried:")
        == "tried: state=done etc=refused program=refused home=refused kmsg=refused namespace=refused executable-memory=refused"
    )


TRY = """
import ctypes, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
def call(done):
    if done != 0:
        raise OSError(ctypes.get_errno(), "refused")
tries = {
    "state": lambda: open("/var/lib/vitald/try", "w").close(),
    "etc": lambda: open("/etc/vitald/try", "w"),
    "program": lambda: open("/opt/vitald/try", "w"),
    "home": lambda: os.listdir("/root") and os.listdir("/home"),
    "kmsg": lambda: os.open("/dev/kmsg", os.O_RDONLY),
    "namespace": lambda: call(libc.unshare(0x10000000)),
    "executable-memory": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC),
}
output = []
for name, attempt in tries.items():
    try:
        attempt()
        output.append(name + "=done")
    except OSError:
        output.append(name + "=refused")
print("tried:", *output)
"""


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

"""The faults of the drills, as data: how each is made and repaired, where it shows first, and which alert must fire."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.drills import acts
from tests.drills.lab import APP, JUMBO, RECORDED, SERVICE
from tests.drills.leak import PACE, SETTINGS, SHORTEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.drills.lab import Lab

B1 = r"10\.95\.2\.1"


@dataclass(frozen=True)
class Drill:
    """A fault. `shows_as` is a pattern of a line on the metrics page of the host `shows_on`.

    `waits` are seconds that are waited by design beside the alert's `for:`, and `why`. `needs` is a collector, `settings` are its own for
    this drill; `patience` is how long beyond the bar a page may take before the drill fails, and how long the end.
    """

    name: str
    alert: str
    make: Callable[[Lab], object]
    repair: Callable[[Lab], object]
    shows_on: str = ""
    shows_as: str = ""
    waits: float = 0.0
    why: str = ""
    needs: str = "probe"
    settings: str = ""
    patience: float = 300.0


LEAK = f"the trend's shortest span is 5 min; {PACE} MB/s leak for real, with max_extrapolation = 1000 as this machine has room for hours"


def _leak(name: str, kind: str) -> Drill:
    return Drill(
        name,
        "KernelMemoryRunsOut",
        lambda lab: lab.leak.start(kind),
        lambda lab: lab.leak.stop(),
        "a1",
        r'vitald_health{check="memory_kernel",subject="host"} [12]',
        SHORTEST,
        LEAK,
        needs="memory",
        settings=SETTINGS,
        patience=600,
    )


DRILLS = (
    Drill(
        "port closed",
        "TargetDown",
        lambda lab: lab.hosts["b1"].app.close(),
        lambda lab: lab.hosts["b1"].app.start(),
        "a1",
        rf'vitald_health{{check="tcp_probe",subject="{B1}:{APP}"}} [12]',
    ),
    Drill(
        "host unreachable",
        "HostDown",
        lambda lab: acts.link(lab, "b1", "nomaster"),
        lambda lab: acts.link(lab, "b1", "master", "zone-b"),
        "a1",
        rf'vitald_health{{check="tcp_probe",subject="{B1}:({SERVICE}|{APP})"}} [12]',
    ),
    Drill(
        "path-MTU black hole",
        "PathMtuBlackHole",
        lambda lab: acts.link(lab, "b1", "mtu", "1500"),
        lambda lab: acts.link(lab, "b1", "mtu", JUMBO),
        "a1",
        rf'vitald_health{{check="path_mtu",subject="{B1}:({SERVICE}|{APP})"}} 2',
        30,
        "path_mtu looks every 30 s here",
        "path_mtu",
    ),
    Drill(
        "DHCP server gone",
        "DhcpLeaseExpiring",
        lambda lab: lab.leased.stop_server(),
        lambda lab: lab.leased.start_server(),
        "b2",
        r'vitald_health{check="dhcp_lease",.*} [12]',
        105,
        "seven eighths of a lease of 120 s, which may just have been renewed",
        "dhcp",
    ),
    Drill(
        "driver changed",
        "NicDriverWrong",
        lambda lab: acts.change_driver(lab, "tuntap", "add", "app0", "mode", "tap"),
        lambda lab: acts.change_driver(lab, "link", "add", "app0", "type", "bridge"),
        "a2",
        r'vitald_health{check="nic_driver",subject="app0"} 2',
        needs="nic",
    ),
    Drill(
        "sg switched",
        "NicOffloadDrift",
        lambda lab: lab.hosts["a3"].network.run("ethtool", "-K", "eth0", "sg", "off"),
        lambda lab: lab.hosts["a3"].network.run("ethtool", "-K", "eth0", "sg", "on", "tso", "on", "gso", "on"),
        "a3",
        r'vitald_health{check="nic_offload",subject="eth0"} 1',
        needs="nic",
    ),
    Drill("agent killed", "AgentDown", lambda lab: lab.hosts["b3"].kill(), lambda lab: lab.hosts["b3"].start()),
    Drill(
        "agent frozen",
        "AgentDown",
        lambda lab: lab.hosts["a1"].signal(signal.SIGSTOP),
        lambda lab: lab.hosts["a1"].signal(signal.SIGCONT),
        waits=5,
        why="a scrape that hangs is given up after 5 s",
    ),
    Drill(
        "rocket lines",
        "SkbRidesTheRocket",
        acts.rockets,
        lambda _: None,
        "a1",
        r'vitald_log_events_total{signature="xennet-rides-the-rocket"} [1-9]',
        5,
        "a recorded stream is read on every 5 s; the kernel's own device wakes us",
        needs="logs",
        patience=2400,
    ),
    Drill(
        "log flood",
        "LogsLost",
        acts.flood,
        lambda _: None,
        "a3",
        r'vitald_log_lost_total{.*reason="truncated".*} [1-9]',
        needs="logs",
        patience=1500,
    ),
    Drill(
        "5 % SYN loss",
        "TargetLossy",
        acts.lose_syns,
        lambda lab: lab.hosts["b1"].network.run("nft", "delete", "table", "ip", "drill"),
        "a1",
        rf'vitald_probe_syn_retransmits_total{{.*target="{B1}:{APP}".*}} [1-9]',
        180,
        "most of the six probers must have lost a SYN: of 12 a minute each and 5 % lost, that is after 95 s on average, 3 min at worst",
        patience=1500,
    ),
    Drill(
        "next kernel without its module",
        "NicNextBootDriverMissing",
        lambda lab: acts.boot(lab).install_without_module(),
        lambda lab: acts.boot(lab).reinstall(),
        RECORDED,
        r'vitald_health{check="nic_driver_next_boot",subject="ens5"} [12]',
        300,
        "an installation is given 5 min before it is judged; a recorded ENA host with two of Debian's kernels",
        needs="nic",
    ),
    _leak("TCP buffer leak", "tcp"),
    _leak("slab leak", "slab"),
)

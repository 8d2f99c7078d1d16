"""Readings of every kind that a judge may meet, drawn from lists of values by a function: hypothesis' or a seeded one."""

from __future__ import annotations

import errno
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from collectors.dhcp.lease_files import LeaseRecord
from collectors.dhcp.leases import Lease
from collectors.model import CollectorContext
from collectors.nic.boot.device_modules import DeviceModule
from collectors.nic.boot.kernels import InitramfsModule, InstalledKernels, Kernel, KernelModule
from collectors.nic.readers.counters import DriverCounters
from collectors.nic.readers.devices import NetworkDevice
from collectors.nic.readers.ethtool import Driver
from collectors.nic.readers.features import SHORT_NAMES, Feature
from collectors.nic.readers.sysfs import ByteCounters, Device, LinkState
from collectors.nic.readers.tcp_counters import TcpCounters
from collectors.nic.reading import Change, DeviceState, LostInterface, Nic, NicReading
from collectors.nic.samples import Sample
from collectors.nic.settings import Requirements
from collectors.packets.protocol import Endpoint, ProbeAnswer
from collectors.path_mtu.search import PathMtuResult
from collectors.probe.connect.result import ProbeResult, Reason
from collectors.probe.target_stats import TargetStats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Protocol

    from collectors.packets.protocol import ProbeScript

    T = TypeVar("T")

    class Pick(Protocol):
        """A choice of one value."""

        def __call__(self, values: Sequence[T]) -> T: ...


WALL = 1.7e9
TIMES = (WALL - 10, WALL - 1e6, -5.0, 1e18)
DRIVERS = ("", "ena", "ixgbevf", "vif", "virtio_net", "veth")
VERSIONS = ("", "6.1.0-50-amd64", "2.17.0g", "1.0.2", "2.1.0K", "4.0.3", "2.12.1-k")
RELEASES = ("", "6.1.0-50-amd64", "3.10.0-1160", "4.14.33-59.37.amzn2")
BOTH = (False, True)
SMALL = (0, 1, 2, 3, 4, 5)


def seeded(seed: int) -> Pick:
    """Return a choice that is the same on every Python: only random() is promised to be."""
    random = Random(seed)  # noqa: S311
    return lambda values: values[int(random.random() * len(values))]


def some(pick: Pick, values: Sequence[T]) -> list[T]:
    return [value for value in values if pick(BOTH)]


def nic_reading(pick: Pick) -> NicReading:
    nic = _nic(pick)
    return NicReading(
        WALL,
        pick(RELEASES),
        (nic,),
        _samples(pick, nic),
        {"ens7": pick(TIMES)} if pick(BOTH) else {},
        0,
        _kernels(pick, nic.link.device.module or nic.link.driver or "ena"),
        pick(("", "root=/dev/nfs ip=dhcp")),
        devices=_devices(pick),
        lost=pick(((), (LostInterface("ens6", pick(("", "02:00:00:00:00:06")), "0000:00:06.0", pick(("", "ena"))),))),
        uptime=pick((None, 5.0, 119.0, 120.0, 900.0)),
        is_xen=pick(BOTH),
    )


def _nic(pick: Pick) -> Nic:
    driver, name = pick(DRIVERS), "ens5"
    device = Device(pick(BOTH), driver, pick(("", driver)), pick(VERSIONS), "", pick(("", "0000:00:05.0")))
    link = LinkState(
        name,
        2,
        pick((None, 1500, 9001)),
        up=pick(BOTH),
        carrier=pick((None, False, True)),
        carrier_changes=pick(range(10)),
        device=device,
    )
    allowances = {name: pick(SMALL) for name in some(pick, ("bw_in", "bw_out", "conntrack", "linklocal", "pps"))}
    resets = {name: pick(SMALL) for name in some(pick, ("tx_timeout", "suspend", "wd_expired"))}
    available = pick((None, 0, 5, 1999, 2000, 99999))
    counters = DriverCounters(allowances, available, resets, pick(((), ("conntrack",), ("conntrack", "linklocal"))))
    features = {name: Feature(pick(BOTH), pick(BOTH), pick(BOTH)) for name in some(pick, sorted(SHORT_NAMES))}
    required = Requirements(
        pick((None, "ena", "ixgbevf")),
        pick((None, "2.2.9")),
        {name: pick(BOTH) for name in some(pick, ("sg", "lro"))},
        pick((None, 9001)),
    )
    info = pick((None, Driver(driver or "tun", pick(VERSIONS), bus=pick(("", "0000:00:05.0")))))
    return Nic(link, info, features, counters, _changes(pick, driver), required)


def _devices(pick: Pick) -> tuple[DeviceState, ...]:
    states = (
        _device_state(pick, "pci", pick(("0000:00:05.0", "0000:00:06.0")), pick(("1d0f:ec20", "1d0f:efa1", "8086:100e", "abcd:0001"))),
        _device_state(pick, "virtio", "virtio1", ""),
        _device_state(pick, "xen", "vif-0", ""),
    )
    return tuple(state for state in states if pick(BOTH))


def _device_state(pick: Pick, bus: str, address: str, identity: str) -> DeviceState:
    device = NetworkDevice(
        bus,
        address,
        identity,
        driver=pick(("", "", "ena")),
        modalias=pick(("", "pci:v00001D0Fd0000EC20")),
        override=pick(("", "", "", "vfio-pci")),
        is_virtual_function=pick((False, False, False, True)),
    )
    state = pick(("missing", "on disk", "built in", "broken", "blacklisted", "unreadable"))
    detail = {"broken": "the file is truncated", "blacklisted": pick(("/etc/modprobe.d/a.conf", "the kernel command line"))}.get(
        state, "lib"
    )
    elsewhere = pick(("", "6.1.0-51-amd64"))
    module = DeviceModule(
        pick(("", "ena")), state, detail, elsewhere, pick(("", "1>2")), pick(("", "grub-reboot", "grub2-reboot", "grubby"))
    )
    return DeviceState(
        device, pick((None, module, module)), pick(BOTH), pick((None, WALL - 29, WALL - 30, WALL + 5)), pick((False, False, False, True))
    )


def _changes(pick: Pick, driver: str) -> dict[str, Change]:
    found = {
        "mtu": Change(1500, pick(TIMES), pick((None, 9001))),
        "carrier": Change(False, pick(TIMES), pick((None, True))),  # noqa: FBT003
        "driver": Change(driver, pick(TIMES), pick((None, *DRIVERS))),
        "sg": Change(False, pick(TIMES), pick((None, True))),  # noqa: FBT003
    }
    return {name: change for name, change in found.items() if pick(BOTH)}


def _samples(pick: Pick, nic: Nic) -> tuple[Sample, ...]:
    """A plateau, and what came after it."""
    found, total = [], 0
    for index in range(30):
        total += 50_000_000 if index < 22 else pick((0, 50_000_000))
        tcp = TcpCounters(1000 * index, pick(SMALL) * max(0, index - 21), 9, 0)
        resets = {name: count + (index > 25) for name, count in nic.counters.resets.items()}
        allowances = {name: count + index for name, count in nic.counters.allowances.items()}
        counters = replace(nic.counters, resets=resets, allowances=allowances)
        found.append(Sample(10.0 * index, tcp, {"ens5": ByteCounters(total, total)}, {"ens5": counters}, {"ens5": index // 9}))
    return tuple(found)


def _kernels(pick: Pick, driver: str) -> InstalledKernels | None:
    packed = InitramfsModule(pick((None, False, True)), pick(VERSIONS), problem="boot/initrd: packed with lz4")
    path = pick(("", "updates/dkms/ena.ko"))
    module = KernelModule(
        driver,
        "6.1.0-51",
        pick(("in-tree", "dkms", "missing")),
        pick(VERSIONS),
        path=path,
        problem=pick(("", f"{path}: the file is truncated" if path else "")),
        unreadable=pick(("", "lib/modules: Permission denied")),
        initramfs=pick(("absent", "older", "newer")),
        packed=pick((None, packed)),
    )
    kernel = Kernel("6.1.0-51", True, pick(BOTH), pick(TIMES), {driver: module})  # noqa: FBT003
    problem = InstalledKernels(problem="/lib/modules: Permission denied")
    return pick((None, problem, InstalledKernels((kernel,), "6.1.0-51", "the newest installed")))


def path_mtu_result(pick: Pick) -> PathMtuResult:
    result = PathMtuResult(
        answered=pick((False, True, True, True, True)),
        mtu=pick((0, 1399, 1400, 1500, 9001)),
        sent=pick((1500, 9001)),
        black_hole=pick((False, False, True)),
        hop=pick(("", "10.0.0.1")),
        padded_dropped=pick((False, False, False, True)),
        mss=pick((0, 1360, 1361, 1400)),
        rtt=pick(range(10)),
        send_error=pick((0, 0, 0, 0, 0, errno.ENETUNREACH, 9999)),
    )
    if result.black_hole:  # what is found above the largest packet that was answered
        result = result._replace(answered=True, mtu=1400, padded_dropped=False)
    return result


def leases(pick: Pick) -> tuple[dict[tuple[str, str], Lease], dict[str, LeaseRecord], float]:
    """Return leases, lease files and the time."""
    found = {}
    for interface in some(pick, ("ens5", "a b")):
        ends, seconds = pick((0.0, 119.0, 120.0, 130.0, 570.0, 1740.0, 1741.0, 5000.0)), pick((0.0, 3600.0))
        found[interface, "10.0.0.7"] = Lease(
            interface, 2, "10.0.0.7", ends, seconds, 0, pick((None, 120.0, 121.0, 9999.0)), pick((None, None, 100.0))
        )
    recorded = pick((None, 0, 60, 3240, 3239, 3600, 4000))
    record = LeaseRecord("10.0.0.7", pick(("networkd", "dhclient")), recorded or 0, "/run/systemd/netif/leases/2")
    return found, {} if recorded is None else {"10.0.0.7": record}, 120.0


def probe_result(pick: Pick) -> ProbeResult:
    reason = pick(tuple(Reason))
    error = pick((0, errno.ECONNREFUSED, 9999))
    local = reason > Reason.RESET and pick(BOTH)
    return ProbeResult(reason, local, error, retransmits=pick((0, 0, 1, 2, 3)), seconds=0.2, router=pick(("", "fd00::1")))


def target_stats(pick: Pick, *, rtts: bool = False) -> TargetStats:
    stats = TargetStats()
    for index in range(pick((0, 1, 2, 3, 6, 12, 130))):
        result = probe_result(pick)
        if rtts and not result.reason:
            result = result._replace(rtt=pick((0, 1, 19, 20, 21, 180, 5000, 10_000_001)))
        stats = stats.after(result, WALL + index, pick((None, 0.001)) if rtts else None)
    return stats


def played(search: Callable[[Endpoint], ProbeScript[Any]], seed: int) -> list[Any]:
    """Play a probe script against a path of some limits; return what was sent, and the result."""
    pick = seeded(seed)
    target = pick(("10.0.0.5", "fd00::5"))
    endpoint = Endpoint("10.0.0.1", target, 22, pick((1500, 9001, 65536, 600)))
    limit, icmp = pick((0, 575, 577, 1400, 1500, 8500, 70_000)), pick((0, 0, 1400, 1500, 9001))
    rtt, mss = pick((0, 90, 50_000, 900_000)), pick((0, 1360, 8960))
    script, sent, answer = search(endpoint), [], None
    try:
        while True:
            probe = next(script) if answer is None else script.send(answer)
            sent.append([probe.size, probe.tries, round(probe.wait, 6), probe.flow])
            bare = pick(("syn_ack", "syn_ack", "syn_ack", "reset", "silent", "local"))
            kind: Any = bare if not probe.size else "syn_ack" if probe.size <= limit else "too_big" if icmp else "silent"
            if probe.size > limit and not pick(range(12)):
                kind = "local"
            error = pick((errno.EMSGSIZE, errno.ENETUNREACH)) if kind == "local" else 0
            answer = ProbeAnswer(
                0, kind, "10.0.0.254" if kind == "too_big" else target, rtt=rtt, mss=mss, mtu=icmp if kind == "too_big" else 0, error=error
            )
    except StopIteration as end:
        return [end.value._asdict(), len(sent), sent[:40]]


def recorded_host(root: Path) -> CollectorContext:
    """Return a host 10.0.0.7 called web1 without an instance id."""
    (root / "proc/net").mkdir(parents=True)
    (root / "proc/net/fib_trie").write_text("           |-- 10.0.0.7\n              /32 host LOCAL\n")
    (root / "proc/sys/kernel").mkdir(parents=True)
    (root / "proc/sys/kernel/hostname").write_text("web1\n")
    return CollectorContext(proc=root / "proc", sys=root / "sys", root=root)


def mesh_groups(pick: Pick) -> list[dict[str, Any]]:
    def host() -> str:
        return f"{pick(('10.0.0.7', '10.0.0.8', '10.0.1.9', 'web1', 'web2', '[fd00::5]'))}:{pick((9586, 22))}"

    return [
        {
            "targets": [host() for _ in range(pick((1, 3, 9)))],
            "labels": {name: pick(("a", "b")) for name in some(pick, ("zone", "rack", "role", "instance_id"))},
        }
        for _ in range(pick((1, 4)))
    ]

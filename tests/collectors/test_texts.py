"""Texts of every verdict that a reading can lead to: nothing unknown is printed, no slot of a sentence is empty."""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.dhcp.judge import judge_leases
from collectors.dhcp.lease_files import LeaseRecord
from collectors.dhcp.leases import Lease
from collectors.nic.boot.kernels import InitramfsModule, InstalledKernels, Kernel, KernelModule
from collectors.nic.judge import verdicts
from collectors.nic.readers.counters import DriverCounters
from collectors.nic.readers.ethtool import Driver
from collectors.nic.readers.features import SHORT_NAMES, Feature
from collectors.nic.readers.sysfs import ByteCounters, Device, LinkState
from collectors.nic.readers.tcp_counters import TcpCounters
from collectors.nic.reading import Change, LostInterface, Nic, NicReading
from collectors.nic.samples import Sample
from collectors.nic.settings import Requirements
from collectors.path_mtu.judge import judge_path
from collectors.path_mtu.search import PathMtuResult
from collectors.probe.connect.result import ProbeResult, Reason
from collectors.probe.judge import judge
from collectors.probe.target_stats import TargetStats
from tests.kit.texts import assert_complete

if TYPE_CHECKING:
    from collectors.model import Verdict

pytestmark = pytest.mark.fault(145)

WALL = 1.7e9
TIMES = st.sampled_from([WALL - 10, WALL - 1e6, -5.0, 1e18])
DRIVERS = ["", "ena", "ixgbevf", "vif", "virtio_net", "veth"]
VERSIONS = st.sampled_from(["", "6.1.0-50-amd64", "2.17.0g", "1.0.2", "2.1.0K", "4.0.3", "2.12.1-k"])
RELEASES = st.sampled_from(["", "6.1.0-50-amd64", "3.10.0-1160", "4.14.33-59.37.amzn2"])


def optional(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | values


@st.composite
def changes(draw: st.DrawFn, driver: str) -> dict[str, Change]:
    found = {
        "mtu": Change(1500, draw(TIMES), draw(st.sampled_from([None, 9001]))),
        "carrier": Change(False, draw(TIMES), draw(st.sampled_from([None, True]))),  # noqa: FBT003
        "driver": Change(driver, draw(TIMES), draw(st.sampled_from([None, *DRIVERS]))),
        "sg": Change(False, draw(TIMES), draw(st.sampled_from([None, True]))),  # noqa: FBT003
    }
    return {name: change for name, change in found.items() if draw(st.booleans())}


@st.composite
def nics(draw: st.DrawFn) -> Nic:
    driver, name = draw(st.sampled_from(DRIVERS)), "ens5"
    device = Device(
        draw(st.booleans()), driver, draw(st.sampled_from(["", driver])), draw(VERSIONS), "", draw(st.sampled_from(["", "0000:00:05.0"]))
    )
    link = LinkState(
        name,
        2,
        draw(st.sampled_from([None, 1500, 9001])),
        up=draw(st.booleans()),
        carrier=draw(st.sampled_from([None, False, True])),
        carrier_changes=draw(st.integers(0, 9)),
        device=device,
    )
    allowances = {name: draw(st.integers(0, 5)) for name in draw(st.sets(st.sampled_from(["bw_in", "conntrack", "linklocal"])))}
    counters = DriverCounters(
        allowances,
        draw(st.sampled_from([None, 0, 5, 99999])),
        draw(st.dictionaries(st.sampled_from(["tx_timeout", "suspend"]), st.integers(0, 5))),
        draw(st.sampled_from([(), ("conntrack",)])),
    )
    features = st.builds(Feature, st.booleans(), st.booleans(), st.booleans())
    required = Requirements(
        draw(st.sampled_from([None, "ena", "ixgbevf"])),
        draw(st.sampled_from([None, "2.2.9"])),
        draw(st.dictionaries(st.sampled_from(["sg", "lro"]), st.booleans())),
        draw(st.sampled_from([None, 9001])),
    )
    info = Driver(driver or "tun", draw(VERSIONS), bus=draw(st.sampled_from(["", "0000:00:05.0"])))
    return Nic(
        link,
        draw(st.sampled_from([None, info])),
        draw(st.dictionaries(st.sampled_from(sorted(SHORT_NAMES)), features)),
        counters,
        draw(changes(driver)),
        required,
    )


@st.composite
def samples(draw: st.DrawFn, nic: Nic) -> tuple[Sample, ...]:
    """A plateau, and what came after it."""
    found, total = [], 0
    for index in range(30):
        total += 50_000_000 if index < 22 else draw(st.sampled_from([0, 50_000_000]))
        tcp = TcpCounters(1000 * index, draw(st.integers(0, 5)) * max(0, index - 21), 9, 0)
        resets = {name: count + (index > 25) for name, count in nic.counters.resets.items()}
        allowances = {name: count + index for name, count in nic.counters.allowances.items()}
        counters = replace(nic.counters, resets=resets, allowances=allowances)
        found.append(Sample(10.0 * index, tcp, {"ens5": ByteCounters(total, total)}, {"ens5": counters}, {"ens5": index // 9}))
    return tuple(found)


@st.composite
def kernels(draw: st.DrawFn, driver: str) -> InstalledKernels | None:
    packed = InitramfsModule(draw(st.sampled_from([None, False, True])), draw(VERSIONS), problem="boot/initrd: packed with lz4")
    path = draw(st.sampled_from(["", "updates/dkms/ena.ko"]))
    module = KernelModule(
        driver,
        "6.1.0-51",
        draw(st.sampled_from(["in-tree", "dkms", "missing"])),
        draw(VERSIONS),
        path=path,
        problem=draw(st.sampled_from(["", f"{path}: the file is truncated" if path else ""])),
        unreadable=draw(st.sampled_from(["", "lib/modules: Permission denied"])),
        initramfs=draw(st.sampled_from(["absent", "older", "newer"])),
        packed=draw(st.sampled_from([None, packed])),
    )
    kernel = Kernel("6.1.0-51", True, draw(st.booleans()), draw(TIMES), {driver: module})  # noqa: FBT003
    problem = InstalledKernels(problem="/lib/modules: Permission denied")
    return draw(st.sampled_from([None, problem, InstalledKernels((kernel,), "6.1.0-51", "the newest installed")]))


@st.composite
def nic_readings(draw: st.DrawFn) -> NicReading:
    nic = draw(nics())
    lost = LostInterface("ens6", draw(st.sampled_from(["", "02:00:00:00:00:06"])), "0000:00:06.0", draw(st.sampled_from(["", "ena"])))
    return NicReading(
        WALL,
        draw(RELEASES),
        (nic,),
        draw(samples(nic)),
        {"ens7": draw(TIMES)} if draw(st.booleans()) else {},
        0,
        draw(kernels(nic.link.device.module or nic.link.driver or "ena")),
        draw(st.sampled_from(["", "root=/dev/nfs ip=dhcp"])),
        lost=draw(st.sampled_from([(), (lost,)])),
        uptime=draw(st.sampled_from([None, 5.0, 900.0])),
    )


@settings(max_examples=300, deadline=None)
@given(nic_readings())
def test_nic(reading: NicReading) -> None:
    check(list(verdicts(reading)))


@given(
    st.builds(
        PathMtuResult,
        answered=st.booleans(),
        mtu=st.sampled_from([0, 1500]),
        sent=st.sampled_from([1500, 9001]),
        black_hole=st.booleans(),
        hop=st.sampled_from(["", "10.0.0.1"]),
        padded_dropped=st.booleans(),
        mss=st.sampled_from([0, 1400]),
        rtt=st.integers(0, 9),
        send_error=st.sampled_from([0, errno.ENETUNREACH, 9999]),
    )
)
def test_path_mtu(result: PathMtuResult) -> None:
    if result.black_hole:  # what is found above the largest packet that was answered
        result = result._replace(answered=True, mtu=1400, padded_dropped=False)
    check([judge_path("10.0.0.5:22", result)])


@given(
    st.floats(0, 5000),
    st.sampled_from([0.0, 3600.0]),
    st.sampled_from([None, 50.0, 9999.0]),
    st.sampled_from([None, 100.0]),
    st.sampled_from([None, 0, 60, 3600]),
    st.sampled_from(["", "dhclient"]),
)
def test_dhcp(ends: float, seconds: float, preferred: float | None, lost: float | None, recorded: int | None, client: str) -> None:
    lease = Lease("ens5", 2, "10.0.0.7", ends, seconds, 0, preferred, lost)
    files = {} if recorded is None else {"10.0.0.7": LeaseRecord("10.0.0.7", client or "networkd", recorded, "/run/systemd/netif/leases/2")}
    check(list(judge_leases({("ens5", "10.0.0.7"): lease}, files, 120.0)))


@st.composite
def results(draw: st.DrawFn) -> ProbeResult:
    reason = draw(st.sampled_from(Reason))
    error = draw(st.sampled_from([0, errno.ECONNREFUSED, 9999]))
    retransmits, router = draw(st.integers(0, 3)), draw(st.sampled_from(["", "fd00::1"]))
    return ProbeResult(reason, reason > Reason.RESET and draw(st.booleans()), error, retransmits=retransmits, seconds=0.2, router=router)


@given(st.lists(results(), min_size=1, max_size=6))
def test_tcp_probe(found: list[ProbeResult]) -> None:
    stats = TargetStats()
    for result in found:
        stats = stats.after(result, WALL)
    check([judge("10.0.0.5:22", stats, 3)])


def check(found: list[Verdict]) -> None:
    for verdict in found:
        assert_complete(verdict)

"""Targets of the next boot and of the interfaces: modules, archives, boot loader files, sysfs, recorded ethtool output, leases."""

from __future__ import annotations

import gzip
import io
import json
import re
import struct
from pathlib import Path

from collectors.dhcp.lease_files import read_lease_files
from collectors.host.dmi import read_platform
from collectors.host.identity import read_identity
from collectors.nic.boot import initramfs_helper
from collectors.nic.boot.boot_loader import menu_position, next_kernel
from collectors.nic.boot.cpio import InvalidArchive, Stream, members
from collectors.nic.boot.device_modules import blacklisted_in, modules_for
from collectors.nic.boot.initramfs_inspector import InitramfsInspector
from collectors.nic.boot.modinfo import InvalidModule, parse_module
from collectors.nic.boot.module_lists import builtin_version, find_module
from collectors.nic.checks.version import is_older, is_version, release_key, version_origin
from collectors.nic.readers.devices import read_devices
from collectors.nic.readers.recorded_ethtool import parse_driver, parse_features, parse_statistics
from collectors.nic.readers.sysfs import read_byte_counters, read_link
from collectors.nic.readers.tcp_counters import parse_tcp
from tests.fuzz.target import PART, Target, divide, files, put, scratch, text

_RELEASE = "6.1.0-50-amd64"


def _modinfo(data: bytes) -> None:
    tags = parse_module("x.ko", data, "x86_64")
    assert all("\0" not in value for value in tags.values())


def _cpio(data: bytes) -> None:
    for number, member in enumerate(members(Stream(io.BytesIO(data).read))):
        assert 0 <= member.size < 1 << 32
        if number % 2:
            assert len(member.read()) == member.size


def _initramfs(data: bytes) -> None:
    found = initramfs_helper.find_modules(members(Stream(io.BytesIO(data).read)), _RELEASE, ("ena", "virtio_net"))
    assert set(found["modules"]) == {"ena", "virtio_net"}
    json.dumps(found)


class _Answers:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def ask(self, *_arguments: object, **_limits: object) -> bytes:
        return self._data


def _initramfs_answer(data: bytes) -> None:
    inspector = InitramfsInspector()
    inspector._helper = _Answers(data)  # type: ignore[assignment]
    found = inspector._ask(Path("/x"), _RELEASE, ("ena",))
    assert set(found) == {"ena"}


def _module_lists(data: bytes) -> None:
    dep, builtin, modinfo = divide(data, 3)
    directory = put(f"lists/{_RELEASE}/modules.dep", dep).parent
    (directory / "modules.builtin").write_bytes(builtin)
    (directory / "modules.builtin.modinfo").write_bytes(modinfo)
    path = find_module(directory, "virtio_net")
    assert path is None or ".ko" in path
    builtin_version(directory, "virtio_net")


def _device_modules(data: bytes) -> None:
    alias, modinfo, conf, cmdline = divide(data, 4)
    directory = put(f"device/lib/modules/{_RELEASE}/modules.alias", alias).parent
    (directory / "modules.builtin.modinfo").write_bytes(modinfo)
    put("device/etc/modprobe.d/x.conf", conf)
    root = scratch() / "device"
    for name in modules_for(root, _RELEASE, "pci:v00001D0Fd0000EC20sv00sd00bc02sc00i00"):
        assert name.split() == [name]
    blacklisted_in(root, "ena", text(cmdline))


def _boot_loader(data: bytes) -> None:
    menu, environment, default, entry = divide(data, 4)
    root = scratch() / "loader"
    for path, content in (("boot/grub/grub.cfg", menu), ("boot/grub/grubenv", environment), ("etc/default/grub", default),
                          ("boot/loader/entries/a.conf", entry)):  # fmt: skip
        put(f"loader/{path}", content)
    installed = ("5.10.0-1-amd64", _RELEASE)
    release, reason = next_kernel(root, installed)
    assert release in installed
    assert reason
    menu_position(root, _RELEASE)


def _leases(data: bytes) -> None:
    dhclient, keys = divide(data, 2)
    put("leases/var/lib/dhcp/dhclient.eth0.leases", dhclient)
    put("leases/run/systemd/netif/leases/2", keys)
    put("leases/var/lib/NetworkManager/internal-1.lease", keys)
    for address, lease in read_lease_files(scratch() / "leases").items():
        assert lease.address == address
        assert 0 <= lease.seconds < 1 << 34


def _version(data: bytes) -> None:
    first, second = (part.decode("ascii", "replace") for part in divide(data, 2))
    version_origin(first, second)
    is_version(first)
    assert not (is_older(first, second) and is_older(second, first))
    assert (release_key(first) < release_key(second)) + (release_key(first) > release_key(second)) <= 1


def _sysfs(data: bytes) -> None:
    names = ("flags", "ifindex", "mtu", "carrier", "carrier_changes", "address", "statistics/rx_bytes", "statistics/tx_bytes",
             "queues/tx-0/tx_timeout")  # fmt: skip
    for name, content in zip(names, divide(data, len(names)), strict=True):
        put(f"sys/class/net/eth0/{name}", content)
    sys = scratch() / "sys"
    link, counters = read_link(sys, "eth0"), read_byte_counters(sys, "eth0")
    assert link is None or (link.index >= 0 and link.carrier_changes >= 0)
    assert counters is None or counters.rx_bytes >= 0


def _devices(data: bytes) -> None:
    names = ("class", "vendor", "device", "modalias", "driver_override")
    for name, content in zip(names, divide(data, len(names)), strict=True):
        put(f"bus/bus/pci/devices/0000:00:05.0/{name}", content)
    assert len(read_devices(scratch() / "bus")) <= 1


def _recorded_ethtool(data: bytes) -> None:
    driver, features, statistics = map(text, divide(data, 3))
    parse_driver(driver)
    parse_features(features)
    assert all(value >= 0 for value in parse_statistics(statistics).values())


def _tcp_counters(data: bytes) -> None:
    snmp, netstat = map(text, divide(data, 2))
    found = parse_tcp(snmp, netstat)
    assert found is None or found.data_retrans >= 0


def _identity(data: bytes) -> None:
    hostname, release, boot_id, etc, vendor, tag, bios = divide(data, 7)
    for name, content in (("hostname", hostname), ("osrelease", release), ("random/boot_id", boot_id)):
        put(f"host/proc/sys/kernel/{name}", content)
    put("host/etc/hostname", etc)
    for name, content in (("sys_vendor", vendor), ("board_asset_tag", tag), ("bios_version", bios)):
        put(f"host/sys/class/dmi/id/{name}", content)
    root = scratch() / "host"
    identity = read_identity(root / "proc", root, is_recorded=True)
    assert re.fullmatch("[0-9a-f-]{36}|", identity.boot_id)
    assert "\n" not in identity.hostname + identity.kernel
    assert re.fullmatch("i-[0-9a-f]+|", read_platform(root / "sys").instance_id)


def module(tags: bytes, *, order: str = "<", machine: int = 62) -> bytes:
    """Build the smallest ELF64 file with a .modinfo section (elf(5))."""
    names = b"\0.modinfo\0.shstrtab\0"
    header = (b"\x7fELF\x02" + (b"\x01" if order == "<" else b"\x02") + b"\x01").ljust(16, b"\0")
    table = 64 + len(tags) + len(names)
    header += struct.pack(order + "HHIQQQIHHHHHH", 1, machine, 1, 0, 0, table, 0, 64, 0, 0, 64, 3, 2)
    section = struct.Struct(order + "IIQQQQIIQQ")
    sections = [(0,) * 10, (1, 1, 2, 0, 64, len(tags), 0, 0, 1, 0), (10, 3, 0, 0, 64 + len(tags), len(names), 0, 0, 1, 0)]
    return header + tags + names + b"".join(section.pack(*fields) for fields in sections)


_TAGS = b"license=GPL\0version=2.12.0g\0srcversion=ABC\0depends=\0vermagic=6.1.0-50-amd64 SMP\0"


def archive_of(*named: tuple[str, bytes]) -> bytes:
    """Build a newc archive (cpio(5))."""
    out = b""
    for name, data in (*named, ("TRAILER!!!", b"")):
        raw = name.encode() + b"\0"
        fields = (1, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + raw
        out += head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
    return out


def _archives() -> list[bytes]:
    inner = archive_of(
        ("lib", b""), (f"usr/lib/modules/{_RELEASE}/kernel/ena.ko", module(_TAGS)), (f"lib/modules/{_RELEASE}/updates/ena.ko", b"x")
    )
    early = archive_of(("kernel/x86/microcode/GenuineIntel.bin", b"m" * 9))
    return [
        inner,
        early + bytes(9) + gzip.compress(inner),
        gzip.compress(archive_of(("squash-root.img", b""))),
        b"\x02\x21\x4c\x18",
        inner[:200],
    ]


_GRUB = (
    b"menuentry 'Debian' --class gnu $menuentry_id_option 'simple-1' {\n\tlinux\t/boot/vmlinuz-6.1.0-50-amd64 root=/dev/x ro\n}\n"
    b"submenu 'Advanced' $menuentry_id_option 'adv' {\n menuentry \"x, with Linux 5.10\" --id a {\n linux16 /vmlinuz-5.10.0-1-amd64\n }\n}\n"
)
_LEASE = (
    b'lease {\n  interface "eth0";\n  fixed-address 10.0.0.5;\n  option dhcp-lease-time 3600;\n  renew 6 2026/11/28 03:00:00;\n}\n'
    b"lease6 {\n  ia-na 01:02 {\n    iaaddr fd00::5 {\n      max-life 90;\n    }\n  }\n}\n"
)
_MODULES = b"kernel/drivers/net/virtio_net.ko.xz: kernel/net/core/failover.ko\n" + PART + b"kernel/drivers/net/virtio_net.ko\n" + PART
_ALIAS = b"# Aliases\nalias pci:v00001D0Fd0000EC2[0-9A-F]sv*sd*bc*sc*i* ena\n" + PART + b"ena.alias=pci:v*\0x.version=1\0" + PART
_HOSTS = "collectors/nic/hosts/"

TARGETS = (
    Target("boot.modinfo", ("collectors.nic.boot.modinfo",), _modinfo, lambda: [
        module(_TAGS), module(_TAGS, order=">", machine=22), gzip.compress(module(_TAGS)), module(_TAGS)[:150],
    ], allowed=(InvalidModule,), memory=160 << 20, words=(b"\x7fELF\x02", b".modinfo\0", b"version=")),
    Target("boot.cpio", ("collectors.nic.boot.cpio",), _cpio, _archives, allowed=(InvalidArchive,), seconds=1.0, memory=160 << 20,
           words=(b"070701", b"070702", b"TRAILER!!!", b"FFFFFFFF", b"00000000")),
    Target("boot.initramfs", ("collectors.nic.boot.initramfs_helper",), _initramfs, _archives, seconds=1.0, memory=160 << 20,
           words=(b"070701", b"TRAILER!!!", b"lib/modules/6.1.0-50-amd64/", b"ena.ko", b".xz")),
    Target("boot.initramfs_answer", ("collectors.nic.boot.initramfs_inspector",), _initramfs_answer, lambda: [
        b'{"modules":{"ena":{"path":"x","version":"1"}},"problem":""}', b'{"modules":{"ena":null},"problem":"no"}', b"[1]",
    ], most=1 << 16),
    Target("boot.module_lists", ("collectors.nic.boot.module_lists",), _module_lists,
           lambda: [_MODULES + b"virtio_net.version=1.0\0x", b"updates/virtio-net.ko.zst:\n"], words=(b"virtio_net.ko", b"virtio-net", b"version=")),
    Target("boot.device_modules", ("collectors.nic.boot.device_modules",), _device_modules, lambda: [
        _ALIAS + b"blacklist ena\ninstall ena /bin/false\n" + PART + b"quiet module_blacklist=ena,x modprobe.blacklist=y", _ALIAS,
    ], words=(b"alias pci:", b"blacklist ", b"install ", b"*", PART)),
    Target("boot.boot_loader", ("collectors.nic.boot.boot_loader", "collectors.nic.checks.version"), _boot_loader, lambda: [
        _GRUB + PART + b"# GRUB Environment Block\nsaved_entry=adv>a\n####" + PART + b"GRUB_DEFAULT=saved\n" + PART + b"title x\nversion 5.10\nlinux /v\n",
        PART + b"next_entry=1>0\n" + PART + b'GRUB_DEFAULT="0"' + PART + b"title A\nversion 6.1.0-50-amd64\nlinux /boot/vmlinuz-6.1.0-50-amd64\n",
    ], words=(b"menuentry '", b"submenu ", b"}\n", b"linux /vmlinuz-", b"--id ", PART, b"saved_entry=")),
    Target("boot.leases", ("collectors.dhcp.lease_files",), _leases, lambda: [
        _LEASE + PART + b"# private\nADDRESS=10.0.0.6\nLIFETIME=3600\nSERVER_ADDRESS=10.0.0.1\n", _LEASE * 2, _LEASE[:100],
    ], words=(b"lease {\n", b"lease6 {\n", b"iaaddr ", b"}\n", b"  fixed-address ", b"  max-life ", b"LIFETIME=")),
    Target("boot.version", ("collectors.nic.checks.version",), _version, lambda: [
        b"2.12.0g\f6.1.0-50-amd64", b"4.1.2-k\f2.1", b"6.8.0-1044-aws\f6.8.0-1044-aws", b"6.1.0~rc1\f6.1.0", b"N/A",
    ], most=4096, seconds=0.05),
    Target("boot.sysfs", ("collectors.nic.readers.sysfs",), _sysfs, lambda: [b"0x1003\n\f2\n\f1500\n\f1\n\f3\n\f02:00:00:00:00:01\n\f5\n\f6\n\f0\n"], most=40_000),
    Target("boot.devices", ("collectors.nic.readers.devices",), _devices, lambda: [b"0x020000\n\f0x1d0f\n\f0xec20\n\fpci:v00001D0F\n\f(null)\n"], most=20_000),
    Target("boot.recorded_ethtool", ("collectors.nic.readers.recorded_ethtool", "collectors.nic.readers.features"), _recorded_ethtool,
           lambda: [PART.join(files(f"{_HOSTS}{name}/ethtool/*/[ikS]", most=1500)[::-1]) for name in ("ena-github", "ixgbevf", "xen-old")],
           words=(b": on [fixed]\n", b": off [requested on]", b"driver: ", b"     x: 5\n")),
    Target("boot.tcp_counters", ("collectors.nic.readers.tcp_counters",), _tcp_counters, lambda: [
        b"Tcp: RtoMin OutSegs RetransSegs ActiveOpens\nTcp: 200 5 6 7\n" + PART + b"TcpExt: A TCPSynRetrans\nTcpExt: -1 4\n", *files(f"{_HOSTS}ena-*/proc/net/snmp"),
    ]),
    Target("boot.identity", ("collectors.host.identity", "collectors.host.dmi"), _identity, lambda: [
        b"localhost\n\f6.1.0\n\f12345678-1234-1234-1234-123456789abc\n\f# x\nweb1\n\fAmazon EC2\n\fi-0123456789abcdef0\n\f4.11.amazon\n",
    ], most=4096),
)  # fmt: skip

"""PID 1 of a guest with an e1000 and a virtio network device: `init=/nic_guest.py cloud|generic`; writes a tar of snapshots to /dev/vdb.

`cloud` is a kernel without e1000's module. `generic` has it: the program takes the driver away in each way that vitald tells apart, and
tries the command that vitald names for it; `commands.txt` has each command and whether the device had a driver after it.
"""

import io
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

PCI, VIRTIO = Path("/sys/bus/pci/devices"), Path("/sys/bus/virtio/devices")
DEVICE_FILES = ("class", "vendor", "device", "modalias", "driver_override", "enable", "uevent", "driver", "physfn")
LINK_FILES = (
    "address", "addr_assign_type", "carrier", "carrier_changes", "device", "flags", "ifindex", "mtu", "operstate",
    "statistics/rx_bytes", "statistics/tx_bytes", "queues/tx-0/tx_timeout",
)  # fmt: skip
OTHERS = (
    "/sys/bus/pci/drivers/e1000/module", "/sys/bus/virtio/drivers/virtio_net/module", "/sys/bus/pci/drivers/uio_pci_generic/module",
    "/sys/module/e1000/initstate", "/sys/module/virtio_net/initstate", "/proc/sys/kernel/osrelease", "/proc/sys/kernel/random/boot_id",
    "/proc/cmdline", "/proc/modules", "/proc/net/snmp", "/proc/net/netstat", "/etc/modprobe.d/no-e1000.conf",
)  # fmt: skip


def sh(command: str) -> int:
    """Run a command; return its exit status."""
    return subprocess.run(command, shell=True, check=False).returncode  # noqa: S602 — the guest has nothing to protect


def add(tar: tarfile.TarFile, path: Path) -> None:
    """Add a link as it is, or the content of a file, whose size sysfs does not know; nothing where it cannot be read."""
    member = tarfile.TarInfo(str(path).lstrip("/"))
    if path.is_symlink():
        member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
        tar.addfile(member)
        return
    try:
        content = path.read_bytes()
    except OSError:
        return
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def snapshot(moment: str) -> bytes:
    """Return a tar of the network devices, the interfaces and the modules."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for folder, names in ((PCI, DEVICE_FILES), (VIRTIO, DEVICE_FILES), (Path("/sys/class/net"), LINK_FILES)):
            for entry in sorted(folder.iterdir()):
                add(tar, entry)  # a link into /sys/devices
                for name in names:
                    add(tar, entry.resolve() / name)
        for path in OTHERS:
            add(tar, Path(path))
    sys.stdout.write(f"snapshot {moment}\n")
    return raw.getvalue()


def find(bus: Path, device: str) -> str:
    """Return the address of a device by the content of its file `device`."""
    return next(entry.name for entry in sorted(bus.iterdir()) if (entry / "device").read_text().strip() == device)


def generic(snapshots: dict[str, bytes]) -> list[str]:
    """Remove the drivers, one way after the other; return what each command of vitald did."""
    address, on_virtio = find(PCI, "0x100e"), find(VIRTIO, "0x0001")
    tried: list[str] = []

    def try_command(moment: str, command: str, device: Path) -> None:
        snapshots[moment] = snapshot(moment)
        assert not (device / "driver").is_symlink(), moment
        status = sh(command)
        time.sleep(1)
        tried.append(f"{moment}\t{command}\t{status}\t{'bound' if (device / 'driver').is_symlink() else 'not bound'}")

    sh("modprobe e1000; modprobe virtio_net; ip link show >/dev/null 2>&1; sleep 1")
    snapshots["driven"] = snapshot("driven")
    sh("rmmod e1000")
    try_command("not-loaded", "modprobe e1000", PCI / address)
    sh("rmmod e1000")
    Path("/etc/modprobe.d/no-e1000.conf").write_text("blacklist e1000\ninstall e1000 /bin/false\n")
    sh("modprobe e1000")  # the install line fails it
    try_command("blacklisted", "sed -i '/e1000/s/^/#/' /etc/modprobe.d/no-e1000.conf && modprobe e1000", PCI / address)
    sh(f"rm /etc/modprobe.d/no-e1000.conf; echo {address} > {PCI}/{address}/driver/unbind")
    try_command("unbound", f"echo {address} > /sys/bus/pci/drivers_probe", PCI / address)
    sh("rmmod virtio_net")
    try_command("virtio-not-loaded", "modprobe virtio_net", VIRTIO / on_virtio)
    sh(f"echo {on_virtio} > {VIRTIO}/{on_virtio}/driver/unbind")
    try_command("virtio-unbound", f"echo {on_virtio} > /sys/bus/virtio/drivers_probe", VIRTIO / on_virtio)
    sh(f"echo {address} > {PCI}/{address}/driver/unbind; echo vfio-pci > {PCI}/{address}/driver_override")
    snapshots["reserved"] = snapshot("reserved")
    sh(f"modprobe uio_pci_generic; echo uio_pci_generic > {PCI}/{address}/driver_override; echo {address} > /sys/bus/pci/drivers_probe")
    snapshots["uio"] = snapshot("uio")
    return tried


def main() -> None:
    """Record the snapshots and power the guest off."""
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    for kind, target in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")):
        if not os.path.ismount(target):
            sh(f"mount -t {kind} {kind} {target}")
    snapshots: dict[str, bytes] = {}
    tried: list[str] = []
    try:
        if sys.argv[1] == "cloud":
            sh("modprobe virtio_net; sleep 1")
            snapshots["without-module"] = snapshot("without-module")
        else:
            tried = generic(snapshots)
    finally:
        with Path("/dev/vdb").open("wb") as disk, tarfile.open(fileobj=disk, mode="w|") as tar:
            for name, content in {**snapshots, "commands.txt": "\n".join([*tried, ""]).encode()}.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        os.sync()
        sh("echo o > /proc/sysrq-trigger")
        time.sleep(60)


if __name__ == "__main__":
    main()

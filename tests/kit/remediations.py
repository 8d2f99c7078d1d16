"""Commands that vitald tells people to run, in runbooks, alerts and packs; and which of them cannot be tried here, and why."""

from __future__ import annotations

import ast
import re
import tomllib
from dataclasses import dataclass

from tests.kit.rulebook import ROOT, RUNBOOKS, alerts

PACKS = ROOT / "collectors/logs/signatures"

# Programs whose commands are run in a namespace with an interface eth0 and a peer (tests/e2e/test_remediations.py).
LAB = frozenset(
    [
        "arping",
        "cat",
        "df",
        "ethtool",
        "findmnt",
        "grep",
        "id",
        "ip",
        "ls",
        "lsblk",
        "losetup",
        "lsof",
        "nft",
        "nstat",
        "openssl",
        "ping",
        "ps",
        "python3",
        "slabtop",
        "ss",
        "swapon",
        "sysctl",
        "tail",
        "uname",
        "uptime",
        "vitald",
        "dmesg",
        "head",
        "sort",
        "uniq",
        "awk",
        "sh",
    ]
)
# Programs whose commands are run in a booted systemd with the installed service (the same file).
SYSTEMD = frozenset(["systemctl", "journalctl", "timedatectl", "coredumpctl", "systemd-cgls", "systemd-cgtop"])
# Programs that cannot be run here: they exist in Debian or with the hardware's driver, and their arguments are those of their manual.
NOT_HERE = {
    "apt-get": "changes the packages of this machine",
    "auditctl": "audit is not per namespace",
    "aws": "needs an EC2 account",
    "blockdev": "needs a disk that is not this machine's",
    "btrfs": "needs a btrfs file system that is broken",
    "ceph": "needs a Ceph cluster",
    "chronyc": "sets the clock of this machine",
    "cloud-id": "needs cloud-init",
    "cloud-init": "needs cloud-init, and reboots",
    "dhclient": "run by the DHCP test of the same file, on its own interface",
    "dhcpcd": "not installed; takes over all interfaces",
    "dkms": "needs a module's source and a kernel's headers",
    "dumpe2fs": "needs a broken file system",
    "e2fsck": "needs a broken file system",
    "echo": "writes to sysfs or sysrq of this machine",
    "fsck": "needs a broken file system",
    "fsck.f2fs": "needs a broken file system",
    "fsck.fat": "needs a broken file system",
    "iscsiadm": "needs an iSCSI target",
    "lfs": "needs a Lustre file system",
    "lvconvert": "needs device-mapper",
    "lvextend": "needs device-mapper",
    "lspci": "this machine has no PCI bus",
    "lvs": "needs device-mapper",
    "mdadm": "needs the md driver",
    "mget_temp": "needs Mellanox hardware",
    "modinfo": "this machine's kernel has no modules",
    "modprobe": "this machine's kernel has no modules",
    "mount": "needs a broken file system",
    "multipath": "needs device-mapper",
    "nbd-client": "needs the nbd driver",
    "networkctl": "needs systemd-networkd to manage an interface; its verbs are those of its manual",
    "nfsstat": "needs an NFS mount",
    "nmcli": "needs NetworkManager",
    "nvidia-smi": "needs an NVIDIA GPU",
    "nvme": "needs an NVMe device",
    "oomctl": "needs systemd-oomd",
    "partprobe": "needs a disk that is not this machine's",
    "pkill": "run by the DHCP test of the same file, in a pid namespace of its own",
    "promtool": "needs the address of the Prometheus server; its expressions are parsed",
    "ras-mc-ctl": "needs EDAC hardware",
    "reboot": "reboots",
    "rpcinfo": "needs an NFS server",
    "sensors": "needs sensors",
    "smartctl": "needs a disk with SMART",
    "swapoff": "this machine's swap",
    "sync": "flushes all disks of this machine",
    "tee": "writes to sysfs",
    "update-initramfs": "changes the boot files of this machine",
    "vmstat": "runs until it is stopped",
    "xfs_admin": "needs an XFS file system",
    "xfs_fsr": "needs an XFS file system",
    "xfs_growfs": "needs an XFS file system",
    "xfs_quota": "needs an XFS file system",
    "xfs_repair": "needs a broken XFS file system",
    "zpool": "needs ZFS",
}  # fmt: skip
# Modules whose verdicts name a command, and where it is tried, or why it cannot be here. A module that is not listed fails a test.
VERDICTS = {
    "collectors/dhcp/judge.py": "tests/e2e/test_remediations.py: the log of any client, the lease that ends; the rest as above",
    "collectors/logs/sources/coverage.py": "tests/e2e/test_remediations.py: `vitald check` and journalctl in the container",
    "collectors/memory/judge.py": "tests/collectors/memory/test_remediations.py",
    "collectors/nic/checks/device.py": "modules, packages and boot loader of this machine",
    "collectors/nic/checks/driver.py": "modules of this machine",
    "collectors/nic/checks/link_state.py": "tests/e2e/test_remediations.py: ip link",
    "collectors/nic/checks/next_boot.py": "modules, packages and initramfs of this machine",
    "collectors/nic/checks/offload.py": "tests/e2e/test_remediations.py: ethtool -K and ip link",
    "collectors/nic/checks/stall.py": "tests/e2e/test_remediations.py: dmesg and ip; a veth has no statistics",
    "collectors/path_mtu/judge.py": "tests/e2e/test_remediations.py: the route with a smaller MTU",
    "collectors/probe/judge.py": "tests/e2e/test_remediations.py: ip route get, nft list ruleset",
}
_COMMAND = re.compile(
    r"(?<![\w/.-])(?:ip (?:link|addr|route)|ethtool|modprobe|nft|iptables|ss|sysctl|journalctl|systemctl|networkctl|nmcli|dhclient|dkms|"
    r"dracut|"
    r"update-initramfs|grubby|findmnt|ps|slabtop|grep|depmod|apt-get|dnf|dmesg) -?[\w{/'\[]"
)
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Words in backticks of remediations that are no commands.
NO_COMMANDS = re.compile(r"ethtool -K|-\S.*|action=|up|gro off|GPU reset\(N\) succeeded!|Nothing to do")


@dataclass(frozen=True)
class Remediation:
    """A command or a block of them, and where it stands. `variables` are assigned in its first lines."""

    where: str
    text: str

    @property
    def programs(self) -> set[str]:
        """Return the programs that it runs, without sudo, assignments and the shell's own words."""
        found = set()
        for part in re.split(r"\n|&&|\|\|?|;|\$\((?=[a-z])", re.sub(r"'[^']*'|\"[^\"]*\"", "Q", self.text)):
            words = [word for word in part.replace(")", " ").split() if not re.match(r"[A-Z_]+=", word)]
            while words and words[0] in {"sudo", "while", "do", "done", "read", "then"}:
                words = [] if words[0] in {"read", "done"} else words[1:]
            if words and words[0] not in {"read", "Q"}:
                found.add(words[0])
        return found


def runbook_blocks(kind: str) -> list[Remediation]:
    """Return the code blocks of all runbooks, `sh` or `promql`."""
    found = []
    for file in sorted(RUNBOOKS.glob("*.md")):
        for indent, block in re.findall(rf"^( *)```{kind}\n(.*?)^ *```$", file.read_text(), flags=re.MULTILINE | re.DOTALL):
            found.append(Remediation(file.stem, "\n".join(line.removeprefix(indent) for line in block.splitlines())))
    return found


def alert_commands() -> list[Remediation]:
    """Return the command of each alert, with values in place of its templates."""
    values = {"subject": "eth0", "host": "10.0.0.9", "target": "10.0.0.9:22", "collector": "probe", "job": "vitald"}
    found = []
    for name, rule in alerts().items():
        command = rule["annotations"]["command"]
        if "last_over_time" in command:  # HostDown: with an instance id the EC2 command, else the other
            command = "ping -c 3 10.0.0.9"
        if "tcp_probe" in rule["expr"] or "path_mtu" in rule["expr"]:
            command = command.replace("{{ $labels.subject }}", "10.0.0.9:22")
        command = re.sub(r"\{\{ (?:reReplaceAll \S+ \S+ )?\$labels\.(\w+) \}\}", lambda label: values[label.group(1)], command)
        found.append(Remediation(name, command))
    return found


def pack_commands() -> list[Remediation]:
    """Return the commands in backticks of the packs' remediations, each once, with values in place of the words in capitals."""
    values = {"IFACE": "eth0", "UNIT": "vitald.service", "MTU": "1400", "N": "1400", "ADDRESS": "10.0.0.9", "NAME": "eth0", "ID": "i-0abc"}
    found: dict[str, Remediation] = {}
    for pack in sorted(PACKS.glob("*.toml")):
        for signature in tomllib.loads(pack.read_text()).get("signature", ()):
            for command in re.findall(r"`([^`]+)`", signature.get("remediation", "")):
                if not NO_COMMANDS.fullmatch(command):
                    text = re.sub(r"\b[A-Z]+\b(?!,)", lambda word: values.get(word.group(), word.group()), command)
                    found.setdefault(text, Remediation(signature["id"], text))
    return list(found.values())


def verdict_modules() -> set[str]:
    """Return the modules of collectors with a string that names a command, beside docstrings."""
    found = set()
    for file in (ROOT / "collectors").rglob("*.py"):
        tree = ast.parse(file.read_text())
        documents = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, _DOCUMENTED)}
        strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        if "remediation" in file.read_text().lower() and any(_COMMAND.search(text) for text in strings if text not in documents):
            found.add(str(file.relative_to(ROOT)))
    return found


def every() -> list[Remediation]:
    """Return all of them."""
    return [*runbook_blocks("sh"), *alert_commands(), *pack_commands()]

"""Interface-name patterns of settings (`ignore`, `[[nic.policy]]`), and the interfaces that all collectors ignore by default."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from collectors.settings import Derived

if TYPE_CHECKING:
    from collections.abc import Iterable

# Names that container runtimes and hypervisors give to interfaces of their own, which come and go with each container. No name that
# systemd.net-naming-scheme(7) or the kernel gives to a NIC matches: eth0, ens5, enp0s5, enX0, eno1, ib0, wlan0; nor do bridges and
# tunnels of an administrator: br0, bond0, tun0, wg0.
DEFAULT_IGNORE = (
    "lo",
    *("veth*", "docker*", "br-*", "cni*", "podman*", "lxc*", "lxdbr*", "ve-*", "vb-*", "vz-*"),  # Docker, CNI, Podman, LXC, systemd-nspawn
    *("cali*", "cilium*", "flannel*", "eni*", "vxlan.calico", "kube-*", "nodelocaldns", "weave*"),  # Kubernetes; eni*: Amazon VPC CNI
    *("virbr*", "vnet*", "tap*", "macvtap*"),  # libvirt, QEMU, Firecracker
)
_MAX_CACHED = 4096  # names; containers' are new each time


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Return whether an interface's name matches one of the shell patterns; case counts, as it does for the kernel."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


class IgnoredInterfaces(Derived):
    """Interfaces that log findings ignore: `[dhcp] ignore` for lines of DHCP clients, `[nic] ignore` for all others."""

    instead = "`ignore` in [nic] and in [dhcp]"

    def __init__(self, nic: Iterable[str] = DEFAULT_IGNORE, dhcp: Iterable[str] = DEFAULT_IGNORE) -> None:
        self._patterns = {"nic": tuple(nic), "dhcp": tuple(dhcp)}
        self._cache: dict[tuple[bool, bytes], bool] = {}

    def covers(self, family: str, interface: bytes) -> bool:
        """Return whether lines of a signature family about an interface are ignored."""
        key = (family == "dhcp", interface)
        if (is_ignored := self._cache.get(key)) is None:
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()
            name = interface.decode("utf-8", "backslashreplace")
            is_ignored = self._cache[key] = matches_any(name, self._patterns["dhcp" if key[0] else "nic"])
        return is_ignored

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IgnoredInterfaces) and self._patterns == other._patterns

    def __hash__(self) -> int:
        return hash(tuple(self._patterns.items()))

    def __repr__(self) -> str:
        return f"IgnoredInterfaces({self._patterns})"

"""Kernel feature bits under ethtool's short names. Pure.

`generic-receive-offload`, `sg` and `tso` exist only inside the ethtool program (its `off_flag_def`, common.c); the kernel has `rx-gro`,
`tx-scatter-gather` and `tx-tcp-segmentation` (net/ethtool/common.c, netdev_features_strings), and one short name stands for several bits.
The program counts every bit whose name has the same beginning: on Linux 6.18 it prints `tso: on` with TSO off, because of
`tx-tcp-accecn-segmentation`. Here a short name stands for the bits of the offload itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORT_NAMES = {
    "rx": ("rx-checksum",),
    "tx": ("tx-checksum-ipv4", "tx-checksum-ip-generic", "tx-checksum-ipv6"),
    "sg": ("tx-scatter-gather",),
    "tso": ("tx-tcp-segmentation", "tx-tcp6-segmentation"),
    "ufo": ("tx-udp-fragmentation",),
    "gso": ("tx-generic-segmentation",),
    "gro": ("rx-gro",),
    "lro": ("rx-lro",),
    "rxvlan": ("rx-vlan-hw-parse",),
    "txvlan": ("tx-vlan-hw-insert",),
}


@dataclass(frozen=True, slots=True)
class Feature:
    """One offload. `fixed`: it cannot be changed. `requested`: it was requested, though another feature may keep it off."""

    active: bool
    requested: bool
    fixed: bool


def short_features(names: Sequence[str], words: Sequence[int]) -> dict[str, Feature]:
    """Fold the blocks of ETHTOOL_GFEATURES (available, requested, active, never_changed; 32 bits each) into short names.

    A short name is on when any of its bits is, and fixed when none of them can be changed.
    """
    available, requested, active, never_changed = (_bitmap(words[column::4]) for column in range(4))
    changeable = available & ~never_changed
    folded = {}
    for short, wanted in SHORT_NAMES.items():
        if bits := sum(1 << at for at, name in enumerate(names) if name in wanted):
            folded[short] = Feature(bool(active & bits), bool(requested & bits), not changeable & bits)
    return folded


def _bitmap(words: Sequence[int]) -> int:
    return sum(word << (32 * at) for at, word in enumerate(words))

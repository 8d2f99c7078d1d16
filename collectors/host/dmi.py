"""Is this an EC2 instance, as far as the firmware and the hypervisor say? Asks nobody on the network.

Source: "Detect whether a host is an EC2 instance", Amazon EC2 User Guide (identify_ec2_instances).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.host.identity import read_word

if TYPE_CHECKING:
    from pathlib import Path

_INSTANCE_ID = re.compile(r"i-[0-9a-f]{8}(?:[0-9a-f]{9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Platform:
    """`hypervisor` is `nitro` or `xen` on EC2, else empty; `instance_id` is what Nitro writes on the board, else empty."""

    hypervisor: str = ""
    instance_id: str = ""

    @property
    def ec2(self) -> bool:
        """Whether this is Amazon's hardware, so that 169.254.169.254 is Amazon's too."""
        return bool(self.hypervisor)


def read_platform(sys: Path) -> Platform:
    """Read /sys/class/dmi/id and /sys/hypervisor; everything used is readable by all (product_uuid is not). Never raises.

    Nitro, bare metal and Graviton say "Amazon EC2" as their vendor. Xen says "Xen"; its BIOS is "4.11.amazon", its UUID begins with "ec2".
    """
    dmi = sys / "class/dmi/id"
    if read_word(dmi / "sys_vendor") == "Amazon EC2":
        tag = read_word(dmi / "board_asset_tag")
        return Platform("nitro", tag if _INSTANCE_ID.fullmatch(tag) else "")
    uuid = read_word(sys / "hypervisor/uuid").lower()
    if uuid.startswith("ec2") or read_word(dmi / "bios_version").endswith(".amazon"):
        return Platform("xen")
    return Platform()

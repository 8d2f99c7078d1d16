"""EC2 platform detection from DMI and the hypervisor; no network access.

Source: "Detect whether a host is an EC2 instance", Amazon EC2 User Guide (identify_ec2_instances).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.host.identity import read_line

if TYPE_CHECKING:
    from pathlib import Path

_INSTANCE_ID = re.compile(r"i-[0-9a-f]{8}(?:[0-9a-f]{9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Platform:
    """`hypervisor` is `nitro` or `xen` on EC2, else empty; `instance_id` is the board asset tag of Nitro, else empty."""

    hypervisor: str = ""
    instance_id: str = ""

    @property
    def is_ec2(self) -> bool:
        """True if this is Amazon's hardware, so that 169.254.169.254 is Amazon's, too."""
        return bool(self.hypervisor)


def read_platform(sys: Path) -> Platform:
    """Read /sys/class/dmi/id and /sys/hypervisor; all files read are world-readable (product_uuid is not). Never raises.

    The vendor of Nitro, bare metal and Graviton is "Amazon EC2". Xen: vendor "Xen", BIOS "4.11.amazon",
    UUID "ec2…".
    """
    dmi = sys / "class/dmi/id"
    if read_line(dmi / "sys_vendor") == "Amazon EC2":
        tag = read_line(dmi / "board_asset_tag")
        return Platform("nitro", tag if _INSTANCE_ID.fullmatch(tag) else "")
    uuid = read_line(sys / "hypervisor/uuid").lower()
    if uuid.startswith("ec2") or read_line(dmi / "bios_version").endswith(".amazon"):
        return Platform("xen")
    return Platform()

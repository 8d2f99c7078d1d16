"""Lists of a fleet, and meshes made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.model import CollectorContext
from collectors.probe.targets.mesh import Mesh

if TYPE_CHECKING:
    from collections.abc import Iterable


NOBODY = CollectorContext(proc=Path("/nowhere"), sys=Path("/nowhere"), root=Path("/nowhere"))
FIB_TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.0.0.0
        /24 link UNICAST
     |-- 10.0.0.7
        /32 host LOCAL
     |-- 10.0.0.255
        /32 link BROADCAST
Local:
     |-- 127.0.0.0
        /8 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
"""


def write(path: Path, hosts: Iterable[int], **labels: str) -> None:
    groups = [{"targets": [f"10.0.0.{host}:22"], "labels": {"availability_zone": "abc"[host % 3], **labels}} for host in hosts]
    path.write_text(json.dumps(groups))


def host(folder: Path, *, name: str = "web1", inet6: str = "", vendor: str = "", tag: str = "") -> CollectorContext:
    """Make the files by which a host knows itself."""
    (folder / "proc/net").mkdir(parents=True)
    (folder / "proc/sys/kernel").mkdir(parents=True)
    (folder / "sys/class/dmi/id").mkdir(parents=True)
    (folder / "proc/net/fib_trie").write_text(FIB_TRIE)
    (folder / "proc/net/if_inet6").write_text(inet6)
    (folder / "proc/sys/kernel/hostname").write_text(f"{name}\n")
    (folder / "sys/class/dmi/id/sys_vendor").write_text(vendor)
    (folder / "sys/class/dmi/id/board_asset_tag").write_text(tag)
    return CollectorContext(proc=folder / "proc", sys=folder / "sys", root=folder)


def meshed(path: Path, here: CollectorContext = NOBODY, count: int = 20, labels: tuple[str, ...] = ()) -> Mesh:
    return Mesh([str(path)], count, "availability_zone", labels, here)

"""Output of `ethtool -i`, `-k` and `-S` recorded on another host, in place of the ioctls: `ROOT/ethtool/INTERFACE/{i,k,S}`.

With a copy of that host's /sys and /proc, vitald judges the recorded host: a test's, or a support bundle.
"""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING

from collectors.files import read_regular
from collectors.nic.readers.ethtool import Driver
from collectors.nic.readers.features import short_features

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from pathlib import Path

    from collectors.nic.readers.features import Feature

_MAX_BYTES = 4 << 20
_LONG_NAMES = {  # where a short name has one bit only, ethtool prints nothing else (common.c, off_flag_def)
    "rx-checksumming": "rx-checksum",
    "udp-fragmentation-offload": "tx-udp-fragmentation",
    "generic-segmentation-offload": "tx-generic-segmentation",
    "generic-receive-offload": "rx-gro",
    "large-receive-offload": "rx-lro",
    "rx-vlan-offload": "rx-vlan-hw-parse",
    "tx-vlan-offload": "tx-vlan-hw-insert",
}


def parse_driver(text: str) -> Driver:
    """Parse the output of `ethtool -i`; fields that are not there are empty."""
    fields = {match[1]: match[2].strip() for match in re.finditer(r"^([\w-]+):(.*)$", text, re.MULTILINE)}
    return Driver(fields.get("driver", ""), fields.get("version", ""), fields.get("firmware-version", ""), fields.get("bus-info", ""))


def parse_features(text: str) -> dict[str, Feature]:
    """Parse the output of `ethtool -k`: `on` or `off`, then `[fixed]`, `[requested on]` or `[requested off]`."""
    names, states = [], []
    for match in re.finditer(r"^[ \t]*([\w-]+): (on|off)(?: \[(fixed|requested on|requested off)\])?[ \t]*$", text, re.MULTILINE):
        active, note = match[2] == "on", match[3]
        requested = note == "requested on" or (active and note != "requested off")
        names.append(_LONG_NAMES.get(match[1], match[1]))
        states.append((note != "fixed", requested, active))
    available, requested_bits, active_bits = (sum(1 << at for at, state in enumerate(states) if state[column]) for column in range(3))
    words = [
        (bits >> (32 * block)) & 0xFFFFFFFF for block in range(-(-len(names) // 32)) for bits in (available, requested_bits, active_bits, 0)
    ]
    return short_features(names, words)


def parse_statistics(text: str) -> dict[str, int]:
    """Parse the output of `ethtool -S`; lines that are no counter are skipped."""
    return {match[1]: int(match[2]) for match in re.finditer(r"^[ \t]+(\S.*): (\d{1,20})[ \t]*$", text, re.MULTILINE)}


class RecordedEthtool:
    """Same interface as `Ethtool`, read from files; OSError where there is none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def driver(self, interface: str) -> Driver:
        """Read `i`."""
        return parse_driver(self._text(interface, "i"))

    def features(self, interface: str) -> Mapping[str, Feature]:
        """Read `k`."""
        return parse_features(self._text(interface, "k"))

    def statistics(self, interface: str, driver: Driver, wanted: Container[str] | None = None) -> dict[str, int]:  # noqa: ARG002 — the ioctls need it
        """Read `S`."""
        return {name: value for name, value in parse_statistics(self._text(interface, "S")).items() if wanted is None or name in wanted}

    def discard(self, interface: str) -> None:
        """Do nothing: nothing is cached."""

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def _text(self, interface: str, file: str) -> str:
        if "/" in interface or interface.startswith("."):
            raise OSError(errno.EINVAL, "not an interface name", interface)
        return read_regular(self._folder / interface / file, _MAX_BYTES).decode("utf-8", "replace")

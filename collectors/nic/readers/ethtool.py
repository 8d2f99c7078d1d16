"""Driver information, features and statistics by the SIOCETHTOOL ioctl (include/uapi/linux/ethtool.h, net/ethtool/ioctl.c).

All commands used here are open to anyone ("Allow some commands to be done by anyone", net/ethtool/ioctl.c): no capability is needed.
pyroute2's `IoctlEthtool` has no GDRVINFO, decodes strings letter by letter through ctypes (0.3 ms an interface, as much as a whole run may
take) and sizes the statistics buffer exactly, which the kernel overruns when a driver adds a counter between two calls.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.nic.readers.features import Feature, short_features

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

_SIOCETHTOOL = 0x8946
_GDRVINFO, _GSTRINGS, _GSTATS, _GSSET_INFO, _GFEATURES = 0x03, 0x1B, 0x1D, 0x37, 0x3A
_SS_STATS, _SS_FEATURES = 1, 4
_GSTRING_LEN = 32
_DRVINFO = struct.Struct("=I32s32s32s32s32s12s5I")
_MAX_NAME = 15  # IFNAMSIZ less its NUL
_SPARE = 1024  # room for counters that appear between reading their number and reading them
MAX_STATISTICS = 65_536  # a veth of 4096 queues has about 45,000


@dataclass(frozen=True, slots=True)
class Driver:
    """ETHTOOL_GDRVINFO. `version` may be the running kernel's release: the ethtool core fills it in where the driver sets none."""

    name: str
    version: str
    firmware: str = ""
    bus: str = ""
    statistics: int = 0


class Ethtool:
    """The ioctls, over one socket. Every call raises OSError: ENODEV where the interface is gone, EOPNOTSUPP if unsupported."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._feature_names: tuple[str, ...] = ()
        self._decoded: dict[bytes, Mapping[str, Feature]] = {}
        self._indexes: dict[tuple[str, Driver], tuple[tuple[int, str], ...]] = {}  # of the wanted statistics: index among all, name

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def driver(self, interface: str) -> Driver:
        """Read driver, version, firmware and bus of an interface."""
        reply = array("B", _DRVINFO.pack(_GDRVINFO, b"", b"", b"", b"", b"", b"", 0, 0, 0, 0, 0))
        self._ioctl(interface, reply)
        _, name, version, firmware, bus, _, _, _, statistics, _, _, _ = _DRVINFO.unpack(reply)
        return Driver(_text(name), _text(version), _text(firmware), _text(bus), statistics)

    def features(self, interface: str) -> Mapping[str, Feature]:
        """Read the offloads by ethtool's short names (`sg`, `tso`, …); a name the kernel does not know is absent."""
        if not self._feature_names:
            self._feature_names = self._strings(interface, _SS_FEATURES, self._count(interface, _SS_FEATURES))
        blocks = -(-len(self._feature_names) // 32)
        reply = array("B", struct.pack("=II", _GFEATURES, blocks) + bytes(16 * blocks))
        self._ioctl(interface, reply)
        state = reply.tobytes()
        if (known := self._decoded.get(state)) is None:
            if len(self._decoded) >= 64:  # noqa: PLR2004 — a host has a handful of distinct states
                self._decoded.clear()
            known = self._decoded[state] = short_features(self._feature_names, struct.unpack_from(f"={4 * blocks}I", state, 8))
        return known

    def statistics(self, interface: str, driver: Driver, wanted: Container[str] | None = None) -> dict[str, int]:
        """Read the driver's own counters by name, all or the wanted ones. `driver`, just read by `driver()`, has their number.

        Raises OSError with EAGAIN where their number changes meanwhile: a reset, or another number of queues.
        """
        if not 0 < driver.statistics <= MAX_STATISTICS:
            return {}
        if (indexes := self._indexes.get((interface, driver))) is None:
            names = self._strings(interface, _SS_STATS, driver.statistics)
            if len(names) != driver.statistics:
                raise OSError(errno.EAGAIN, "the number of statistics changed", interface)
            indexes = tuple((at, name) for at, name in enumerate(names, 1) if wanted is None or name in wanted)
            self.discard(interface)
            self._indexes[interface, driver] = indexes
        reply = array("Q", struct.pack("=II", _GSTATS, driver.statistics) + bytes(8 * (driver.statistics + _SPARE)))
        self._ioctl(interface, reply)
        if struct.unpack_from("=II", reply)[1] != driver.statistics:
            self.discard(interface)  # the indexes are those of other counters
            raise OSError(errno.EAGAIN, "the number of statistics changed", interface)
        return {name: reply[at] for at, name in indexes}

    def discard(self, interface: str) -> None:
        """Drop what is cached of an interface that is gone."""
        self._indexes = {key: value for key, value in self._indexes.items() if key[0] != interface}

    def _count(self, interface: str, string_set: int) -> int:
        reply = array("B", struct.pack("=IIQI", _GSSET_INFO, 0, 1 << string_set, 0))
        self._ioctl(interface, reply)
        _, _, known, count = struct.unpack("=IIQI", reply)
        return int(count) if known else 0

    def _strings(self, interface: str, string_set: int, count: int) -> tuple[str, ...]:
        reply = array("B", struct.pack("=III", _GSTRINGS, string_set, count) + bytes(_GSTRING_LEN * (count + _SPARE)))
        self._ioctl(interface, reply)
        raw = reply.tobytes()
        count = min(struct.unpack_from("=III", raw)[2], count)
        return tuple(_text(raw[at : at + _GSTRING_LEN]) for at in range(12, 12 + _GSTRING_LEN * count, _GSTRING_LEN))

    def _ioctl(self, interface: str, reply: array[int]) -> None:
        """Make the kernel fill `reply`: a struct ifreq holds the interface's name and the buffer's address."""
        name = os.fsencode(interface)
        if len(name) > _MAX_NAME:
            raise OSError(errno.ENODEV, f"{interface!r} is longer than an interface's name can be")
        fcntl.ioctl(self._socket, _SIOCETHTOOL, struct.pack("16sP16x", name, reply.buffer_info()[0]))


def _text(raw: bytes) -> str:
    """Decode a fixed-size field up to its NUL; the driver may have put any bytes there."""
    return raw.partition(b"\0")[0].decode("utf-8", "replace").strip()

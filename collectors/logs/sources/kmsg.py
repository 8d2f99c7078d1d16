"""Reader of the kernel log, from /dev/kmsg or a recorded stream of it (Documentation/ABI/testing/dev-kmsg; kernel/printk/printk.c).

A read returns one record: `priority,sequence,microseconds,flags;text`, then lines that begin with a space. Priority is
facility * 8 + level; userspace can write to the device, but never with facility 0, so records of facility 0 are the kernel's own.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass

_RECORD = re.compile(rb"(\d{1,10}),(\d{1,20}),(\d{1,20}),[^;]{0,200};(.*)", re.DOTALL)
_ESCAPE = re.compile(rb"\\x([0-9a-fA-F]{2})")
_KMSG = os.makedev(1, 11)
_RECORD_BYTES = 16_384  # a record is at most 8 KiB; a buffer that is too small makes the read fail
_CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class KmsgRecord:
    """One message. `microseconds` is its time since boot by local_clock(), which stops during suspend."""

    priority: int
    sequence: int
    microseconds: int
    text: bytes

    @property
    def is_from_kernel(self) -> bool:
        """True if the kernel wrote it: userspace cannot use facility 0."""
        return self.priority >> 3 == 0


def parse(raw: bytes) -> KmsgRecord | None:
    """Parse a record and decode its escapes; None where it is none. A newline in the text becomes a space: a record is one line."""
    if (match := _RECORD.match(raw.split(b"\n", 1)[0])) is None:
        return None
    text = _ESCAPE.sub(lambda escape: bytes([int(escape[1], 16)]), match[4]) if b"\\x" in match[4] else match[4]
    return KmsgRecord(int(match[1]), int(match[2]), int(match[3]), text.replace(b"\n", b" ").replace(b"\0", b" "))


class Kmsg:
    """An open kernel log, read without blocking."""

    def __init__(self, descriptor: int, *, owned: bool = True) -> None:
        """Read from `descriptor`, the device or a stream; the device from its oldest record. `owned`: `close` closes it."""
        self.descriptor = descriptor
        self._owned = owned
        self.is_device = _is_kmsg(descriptor)
        self._partial = b""
        self._oversize = False
        os.set_blocking(descriptor, False)
        if self.is_device:
            os.lseek(descriptor, 0, os.SEEK_SET)

    def read(self, limit: int = 10_000) -> list[KmsgRecord]:
        """Return the records that are there, at most about `limit`. A gap in their sequence numbers means that records were overwritten."""
        return self._read_device(limit) if self.is_device else self._read_stream(limit)

    def _read_device(self, limit: int) -> list[KmsgRecord]:
        records: list[KmsgRecord] = []
        while len(records) < limit:
            try:
                raw = os.read(self.descriptor, _RECORD_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno == errno.EPIPE:  # the next record was overwritten; the next read returns the oldest one
                    continue
                raise
            if not raw:
                break
            if (record := parse(raw)) is not None:
                records.append(record)
        return records

    def _read_stream(self, limit: int) -> list[KmsgRecord]:
        records: list[KmsgRecord] = []
        while len(records) < limit:
            try:
                chunk = os.read(self.descriptor, _CHUNK_BYTES)
            except BlockingIOError:
                break
            if not chunk:
                break
            *lines, self._partial = (self._partial + chunk).split(b"\n")
            if self._oversize and lines:
                lines, self._oversize = lines[1:], False
            if len(self._partial) > _CHUNK_BYTES:
                self._partial, self._oversize = b"", True
            records += [record for line in lines if not line.startswith(b" ") and (record := parse(line)) is not None]
        return records

    def close(self) -> None:
        """Close the log if it is owned."""
        if self._owned:
            os.close(self.descriptor)


def open_kmsg(setting: str, device: str = "/dev/kmsg") -> Kmsg:
    """Open the log of `[logs] kmsg`: `auto` is standard input where systemd passed the device there, else the device itself.

    Raises OSError; FileNotFoundError also where the device is not the kernel log (containers).
    """
    if setting != "auto":
        return Kmsg(os.open(setting, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY))
    if _is_kmsg(0):
        return Kmsg(0, owned=False)
    descriptor = os.open(device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    if not _is_kmsg(descriptor):
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, "not the kernel log", device)
    return Kmsg(descriptor)


def _is_kmsg(descriptor: int) -> bool:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == _KMSG

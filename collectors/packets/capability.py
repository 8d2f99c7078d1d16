"""CAP_NET_RAW for the scapy helper only: capabilities(7), prctl(2), linux/capability.h.

The unit gives the daemon one ambient capability. `drop()` removes it from the effective and the ambient set before any thread exists: no
socket that the daemon opens, and no other program that it starts, has it. It stays permitted and inheritable. `lent()` makes it ambient
for the calling thread, since capabilities are per thread, while the helper is started.
"""

from __future__ import annotations

import os
import struct
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NET_RAW = 13
_BIT = 1 << NET_RAW
_VERSION_3 = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: two 32-bit words a set
_PR_CAP_AMBIENT, _RAISE, _LOWER = 47, 2, 3


def thread_sets(proc: Path = Path("/proc")) -> dict[str, bool]:
    """Return which of this thread's sets contain it: `Inh`, `Prm`, `Eff`, `Bnd`, `Amb`; empty where /proc cannot be read."""
    try:
        lines = (proc / f"self/task/{threading.get_native_id()}/status").read_text().splitlines()
    except OSError:
        return {}
    return {line[3:6]: bool(int(line.split()[1], 16) & _BIT) for line in lines if line.startswith("Cap")}


def is_available(proc: Path = Path("/proc")) -> bool:
    """Return True if a child process could have it, also where that cannot be read."""
    sets = thread_sets(proc)
    return not sets or sets["Eff"] or (sets["Prm"] and sets["Inh"])


def drop() -> None:
    """Drop it, keeping the right to pass it on; a no-op for root, whose children have every capability. Raises OSError."""
    sets = thread_sets()
    if os.geteuid() and sets.get("Prm") and sets.get("Inh"):
        _ambient(_LOWER)
        _drop_effective()


@contextmanager
def lent() -> Iterator[None]:
    """Make it ambient for programs that this thread starts in this context, if this process may pass it on."""
    sets = thread_sets()
    lend = bool(os.geteuid() and sets.get("Prm") and sets.get("Inh") and not sets.get("Amb"))
    if lend:
        _ambient(_RAISE)
    try:
        yield
    finally:
        if lend:
            _ambient(_LOWER)


def _ambient(what: int) -> None:
    _call("prctl", _PR_CAP_AMBIENT, what, NET_RAW, 0, 0)


def _drop_effective() -> None:
    """Clear the one bit in this thread's effective set."""
    import ctypes  # noqa: PLC0415 — 0.4 MB, which a daemon without the capability does not pay

    header = ctypes.create_string_buffer(struct.pack("Ii", _VERSION_3, 0))
    data = ctypes.create_string_buffer(24)  # struct __user_cap_data_struct[2]: effective, permitted, inheritable
    _call("capget", header, data)
    effective, *rest = struct.unpack("6I", data.raw)
    data.raw = struct.pack("6I", effective & ~_BIT, *rest)
    _call("capset", header, data)


def _call(name: str, *arguments: object) -> None:
    import ctypes  # noqa: PLC0415

    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        error = ctypes.get_errno()
        raise OSError(error, f"{name}(2): {os.strerror(error)}")

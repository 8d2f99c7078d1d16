"""Targets of the state files: whatever a file holds, each collector starts, and what it keeps is in range and is read back as it is saved."""

from __future__ import annotations

import json
import math
from typing import Any

from collectors import state
from collectors.dhcp import leases
from collectors.logs.state import LogsState
from collectors.memory.ledger import Ledger
from collectors.memory.trend import history
from collectors.nic import change_history, last_boot
from collectors.nic.inventory import NicState
from daemon.board import SavedLevel
from tests.fuzz.target import Target, put, scratch
from tests.kit.slots import opened

_NOW = 1_790_000_000.0
_LEDGER = Ledger(total=1 << 30, areas={"unaccounted": 5, "hugepages": 0}, of_which={}, available=1 << 29)


def _decoded(data: bytes, schema: Any) -> Any:
    """Decode, and check that what was kept is saved and read back without a loss."""
    found = state.decode(data, schema)
    again = state.decode(state.encode(found.value), schema)
    assert (again.value, again.dropped) == (found.value, 0), again.error
    return found.value


def _file(data: bytes) -> None:
    """A state file as a whole: it is used, or it is kept aside and the start goes on."""
    folder = scratch() / "state"
    folder.mkdir(mode=0o700, exist_ok=True)
    put("state/logs.json", data)
    store = opened(folder, "logs")
    try:
        found = store.slot("logs").load(LogsState)
        assert isinstance(found, LogsState)
    finally:
        assert store.close(60)
        for path in folder.iterdir():
            path.unlink()


def _logs(data: bytes) -> None:
    found = _decoded(data, LogsState)
    assert all(count >= 0 for count in found.events.values())
    assert all(math.isfinite(fault.first + fault.last + fault.updated) for fault in found.faults)


def _leases(data: bytes) -> None:
    known, rejected = leases.restore(_decoded(data, leases.SavedLeases), "boot", _NOW)
    assert rejected >= 0
    for lease in known.leases.values():
        assert math.isfinite(lease.remaining(0.0))
    state.encode(leases.dump(known, "boot"))
    leases.update_leases(known, (), {"eth0": 2}, 5.0)


def _nic(data: bytes) -> None:
    found = _decoded(data, NicState)
    for value in (getattr(found, name) for name in found.__struct_fields__):
        if isinstance(value, dict):
            for facts in change_history.restore(value).values():
                for change in facts.values():
                    change_history.since_clause(change)
        elif isinstance(value, last_boot.LastBoot):
            last_boot.update(value, "b", "h", ())


def _memory(data: bytes) -> None:
    found, rejected = history.restore(_decoded(data, history.SavedHistory), "boot", _LEDGER, _NOW)
    assert rejected >= 0
    found.add(_NOW, _LEDGER)
    found.snapshot_before(5.0)
    found.sizes_before(5.0)


def _health(data: bytes) -> None:
    for row in _decoded(data, list[SavedLevel]):
        assert row.level in {0, 1, 2, 3}
        assert math.isfinite(row.since)


def _json(*values: Any) -> list[bytes]:
    """Return each value as a state file, as it is written now and in one line."""
    return [text for value in values for text in (state.encode(value), json.dumps({"version": 1, "value": value}).encode())]


_POSITION = {"device": 1, "inode": 2, "offset": 3, "head_hash": "0" * 32, "head_length": 3, "tail_hash": "1" * 32, "modified": 4}
_FAULT = {"signature": "a", "instance": "b", "level": 1, "count": 2, "first": 1.0, "last": 2.0, "updated": 3.0, "line": "x"}
_LOGS = {"boot": "b", "wall": 5.0, "boottime": 6.0, "events": {"a": 1}, "last_seen": {"a": 1.5}, "faults": [_FAULT], "recent": {"a": {"b": [1.0]}},
         "lost": {"f": {"r": 1}}, "kmsg": {"log_id": "b", "sequence": 1, "microseconds": 2}, "cursor": "c", "files": {"/v": [[_POSITION], [], None]}}  # fmt: skip
_SIZES = [0] * len(history.SIZES)
_POINT = [1.0, 5, _SIZES]
_MEMORY = {"boot": "boot", "total": 1 << 30, "hugepages": 0, "fast": [_POINT], "slow": [_POINT], "lowest": _POINT,
           "snapshots": [{"at": 1.0, "slab": {"a": 1}, "modules": ["b"]}]}  # fmt: skip
_LEASE = {
    "interface": "eth0",
    "index": 2,
    "address": "10.0.0.5",
    "ends": 9.0,
    "seconds": 60.0,
    "tstamp": 1,
    "preferred_ends": None,
    "lost": None,
}
_NIC = {"changes": {"eth0": {"mtu": [1500, 5.0, None], "driver": ["ena", 6, "vif"]}},
        "last_boot": {"boot": "b", "host": "h", "present": [["e", "m", "b", "d"]], "lost": [["a", "b", "c", "d"]]}}  # fmt: skip
_WORDS = (b"1e400", b"9" * 400, b"NaN", b"-Infinity", b"null", b"true", b"[[]]", b'"\\ud800"', b"1e308", b"-1")

TARGETS = (
    Target("state.file", ("daemon.state",), _file, lambda: [*_json(_LOGS), b'{"version":2,"value":5}', b"[]"], words=_WORDS, length=2048),
    Target("state.logs", ("collectors.logs.state", "collectors.state"), _logs, lambda: _json(_LOGS, None), allowed=(ValueError,), words=_WORDS),
    Target("state.leases", ("collectors.dhcp.leases",), _leases, lambda: _json({"boot": "boot", "leases": [_LEASE], "renewals": {"eth0": 1}}),
           allowed=(ValueError,), words=_WORDS),
    Target("state.nic", ("collectors.nic.change_history", "collectors.nic.last_boot"), _nic, lambda: _json(_NIC), allowed=(ValueError,), words=_WORDS),
    Target("state.memory", ("collectors.memory.trend.history", "collectors.memory.trend.window"), _memory, lambda: _json(_MEMORY), allowed=(ValueError,),
           words=_WORDS),
    Target("state.health", ("daemon.board",), _health, lambda: _json([["c", "s", 1, 5.0], ["c", "t", 2, 7]]), allowed=(ValueError,), words=_WORDS),
)  # fmt: skip

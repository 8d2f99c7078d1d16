"""What people see of the ledger: shares that add up, and who holds what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from collectors.memory.attribution import culprit
from collectors.memory.panels import panels
from collectors.memory.reading import Reading
from collectors.memory.trend.robust import Growth
from collectors.memory.trend.window import Window
from tests.collectors.memory.hosts import books

JAVA = {"pid": 1234, "comm": "java\n", "unit": "logstash.service", "bytes": 2100 << 20, "unread": 0, "sockets": 400}
JAVA |= {"peer": "10.0.3.9:5044", "peer_bytes": 2100 << 20}
FOUND: dict[str, Any] = {
    "holders": [JAVA, {**JAVA, "pid": 0, "comm": "little", "bytes": 832}],
    "sockets": {"seen": 401, "bytes": 2100 << 20, "by_kind": {}},
    "own": [{"pid": 7, "comm": "postgres", "unit": "", "size": 3 << 30, "swapped": 64 << 20, "began": 1795284628}],
    "page_tables": [{"pid": 7, "comm": "postgres", "unit": "", "size": 900 << 20}],
    "threads": [],
    "pipes": [],
    "files": [{"pid": 8, "comm": "node", "unit": "", "kind": "anon_inode:[eventpoll]", "size": 5000}],
    "hidden": 12,
    "truncated": ["sockets after 50000"],
}
READING = Reading(1000.0, 0.0, books("vm-6.18"), Growth(), {}, Window())


def test_the_shares_are_all_of_the_memory() -> None:
    (ledger,) = panels(READING)
    assert sum(share.value for share in ledger.shares) + READING.ledger.excess == READING.ledger.total
    held = next(share for share in ledger.shares if share.name == "held by the kernel")
    assert any(words.startswith("slab_unreclaimable ") for words in held.of_which)
    assert "does not surely grow" in ledger.notes[0]


def test_a_sure_leak_is_said_with_its_end() -> None:
    (ledger,) = panels(replace(READING, growth=Growth(1e6, 9e5, 3600.0, "fast")))
    assert "grows by 3.4 GB an hour; at that pace" in ledger.notes[0]


def test_holders_have_a_name_a_peer_and_a_size() -> None:
    _, holders, own = panels(replace(READING, holders=FOUND))
    assert own.rows == (("postgres pid 7", "runs since 2026-11-21 18:10 UTC; 64 MB more in the swap", "3.0 GB"),)
    assert holders.rows[0] == (
        "java? pid 1234 logstash.service",
        "socket buffers: 400 sockets to 10.0.3.9:5044 that does not read",
        "2.1 GB",
    )
    assert ("postgres pid 7", "page tables", "900 MB") in holders.rows
    assert ("node pid 8", "open anon_inode:[eventpoll]", "5000") in holders.rows
    assert not any("little" in str(row) for row in holders.rows)
    assert any("12 processes" in note and "CAP_SYS_PTRACE" in note for note in holders.notes)
    assert any("sockets after 50000" in note for note in holders.notes)


def test_a_look_that_is_older_than_most_of_the_growth_is_not_taken_for_another_network_namespace() -> None:
    ledger = replace(READING.ledger, areas={**READING.ledger.areas, "unaccounted": 2000 << 20}, of_which={"tcp_buffers": 2000 << 20})
    grown = replace(READING, ledger=ledger, before={"unaccounted": 0, "tcp_buffers": 0})
    older = {**FOUND, "holders": [{**JAVA, "bytes": 250 << 20}], "sockets": {"seen": 9, "bytes": 250 << 20, "counted": 256 << 20}}
    assert "java? pid 1234 logstash.service: 250 MB" in culprit(replace(grown, holders=older))
    before = {**FOUND, "holders": [{**JAVA, "bytes": 1 << 20}], "sockets": {"seen": 9, "bytes": 1 << 20, "counted": 1 << 20}}
    assert "was not looked at yet" in culprit(replace(grown, holders=before))
    elsewhere = {**before, "sockets": {"seen": 9, "bytes": 1 << 20, "counted": 1900 << 20}}
    assert "another network namespace" in culprit(replace(grown, holders=elsewhere))

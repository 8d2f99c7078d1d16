"""Panels of the ledger: shares that add up, and the holders."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from collectors.memory.analysis import MemoryAnalysis
from collectors.memory.attribution import attribute
from collectors.memory.panels import panels
from collectors.memory.reading import MemoryReading, ProcessWindows
from collectors.memory.trend.history import new_history
from collectors.memory.trend.statistics import Growth
from tests.collectors.memory.hosts import ledger_of

JAVA = {"pid": 1234, "comm": "java\n", "unit": "logstash.service", "bytes": 2100 << 20, "unread": 0, "sockets": 400}
JAVA |= {"peer": "10.0.3.9:5044"}
ANSWER: dict[str, Any] = {
    "holders": [JAVA, {**JAVA, "pid": 0, "comm": "little", "bytes": 832}],
    "sockets": {"seen": 401, "bytes": 2100 << 20},
    "own": [{"pid": 7, "comm": "postgres", "unit": "", "size": 3 << 30, "swapped": 64 << 20, "began": 1795284628}],
    "page_tables": [{"pid": 7, "comm": "postgres", "unit": "", "size": 900 << 20}],
    "threads": [],
    "pipes": [],
    "files": [{"pid": 8, "comm": "node", "unit": "", "kind": "anon_inode:[eventpoll]", "size": 5000}],
    "hidden": 12,
    "truncated": ["sockets after 50000"],
}
LEDGER = ledger_of("vm-6.18")
READING = MemoryReading(1000.0, 0.0, LEDGER, new_history("boot-1", LEDGER), ProcessWindows(LEDGER))
ANALYSIS = MemoryAnalysis(READING, Growth(), {})


def test_the_shares_are_all_of_the_memory() -> None:
    (ledger,) = panels(ANALYSIS)
    assert sum(share.value for share in ledger.shares) + READING.ledger.excess == READING.ledger.total
    kernel = next(share for share in ledger.shares if share.name == "kernel, unreclaimable")
    assert any(words.startswith("slab_unreclaimable ") for words in kernel.of_which)
    assert "growth is not known from one look: vitald status" in ledger.notes[0]
    (later,) = panels(replace(ANALYSIS, growth=Growth(span=7200.0)))
    assert "no leak detected in 2 hours" in later.notes[0]


def test_a_leak_is_shown_with_the_time_until_exhaustion() -> None:
    (ledger,) = panels(replace(ANALYSIS, growth=Growth(1e6, 9e5, 3600.0, "fast")))
    assert "grows by 3.4 GB an hour; at that pace" in ledger.notes[0]


def test_holders_have_a_name_a_peer_and_a_size() -> None:
    _, holders, private = panels(replace(ANALYSIS, reading=replace(READING, holders=ANSWER)))
    assert private.rows == (("postgres pid 7", "running since 2026-11-21 18:10 UTC; 64 MB more in swap", "3.0 GB"),)
    assert holders.rows[0] == (
        "java\\n pid 1234 logstash.service",
        "socket buffers: 400 sockets to 10.0.3.9:5044 that does not read",
        "2.1 GB",
    )
    assert ("postgres pid 7", "page tables", "900 MB") in holders.rows
    assert ("node pid 8", "open anon_inode:[eventpoll]", "5000") in holders.rows
    assert not any("little" in str(row) for row in holders.rows)
    assert any("12 processes" in note and "CAP_SYS_PTRACE" in note for note in holders.notes)
    assert any("sockets after 50000" in note for note in holders.notes)


def test_a_scan_older_than_most_of_the_growth_is_not_attributed_to_another_network_namespace() -> None:
    ledger = replace(READING.ledger, areas={**READING.ledger.areas, "unaccounted": 2000 << 20}, of_which={"tcp_buffers": 2000 << 20})
    grown = replace(ANALYSIS, before={"unaccounted": 0, "tcp_buffers": 0})
    reading = replace(READING, ledger=ledger)
    older = {**ANSWER, "holders": [{**JAVA, "bytes": 250 << 20}], "sockets": {"seen": 9, "bytes": 250 << 20, "counted": 256 << 20}}
    assert "java\\n pid 1234 logstash.service: 250 MB" in attribute(replace(grown, reading=replace(reading, holders=older)))
    before = {**ANSWER, "holders": [{**JAVA, "bytes": 1 << 20}], "sockets": {"seen": 9, "bytes": 1 << 20, "counted": 1 << 20}}
    assert "holders not scanned yet" in attribute(replace(grown, reading=replace(reading, holders=before)))
    elsewhere = {**before, "sockets": {"seen": 9, "bytes": 1 << 20, "counted": 1900 << 20}}
    assert "another network namespace" in attribute(replace(grown, reading=replace(reading, holders=elsewhere)))

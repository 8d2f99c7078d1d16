"""Journal entries that no reader can hold: real journal files, made by systemd-journal-remote, and journalctl itself."""

from __future__ import annotations

import struct
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from collectors.logs.sources import journal_child, journal_entry
from collectors.logs.sources.journal import JournalReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from collectors.logs.sources.journal_entry import JournalEntry

REMOTE = "/lib/systemd/systemd-journal-remote"
START = 1_700_000_000  # Unix time of the first entry
BINARY = b"\x01" + b"\xff" * 4000
SENDER = [(b"_COMM", b"dhclient"), (b"_UID", b"0"), (b"_TRANSPORT", b"syslog")]
MARGIN = 4 << 20  # bytes: pages of the stack and of libraries
MANY_MESSAGES = [(b"MESSAGE", b"%06d" % number + BINARY) for number in range(1000)]  # 150 MB for journalctl -o json


def exported(entries: Sequence[Sequence[tuple[bytes, bytes]]]) -> Iterator[bytes]:
    """Yield entries in the export format (systemd docs/JOURNAL_EXPORT_FORMATS.md)."""
    for number, fields in enumerate(entries):
        at = (START + number) * 1_000_000
        yield b"__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%032d\n" % (at, number + 1, 1)
        for name, value in fields:
            yield name + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
        yield b"\n"


class Journal:
    """A reader of a journal with these entries."""

    def __init__(self, folder: Path, entries: Sequence[Sequence[tuple[bytes, bytes]]]) -> None:
        (folder / "export").write_bytes(b"".join(exported(entries)))
        (folder / "journal").mkdir()
        command = [REMOTE, f"--output={folder}/journal/system.journal", "--split-mode=none", str(folder / "export")]
        subprocess.run(command, check=True, capture_output=True)
        self.command = ("journalctl", f"--directory={folder}/journal")
        self.peak = 0  # bytes of private memory of a child

    def reader(self, cursor: str = "") -> JournalReader:
        return JournalReader(["_COMM=dhclient"], cursor, since=START - 10, command=self.command, is_relevant=lambda entry: entry.uid == 0)

    def read(self, reader: JournalReader) -> list[JournalEntry]:
        """Read the backlog to its end, without the pauses between two starts."""
        entries: list[JournalEntry] = []
        end = time.monotonic() + 60
        while not reader.is_following and time.monotonic() < end:
            reader.next_start = 0.0
            entries += reader.read(1.0)
            if reader._child is not None:
                self.peak = max(self.peak, _data_bytes(reader._child.pid))
            time.sleep(0.002)
        assert reader.is_following, reader.error
        reader.close()
        return entries


def _data_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:  # noqa: PTH123
            return next((int(line.split()[1]) << 10 for line in file if line.startswith("RssAnon:")), 0)
    except OSError:
        return 0


def sent(message: bytes, *more: tuple[bytes, bytes], uid: bytes = b"0") -> list[tuple[bytes, bytes]]:
    return [(b"MESSAGE", message), (b"_COMM", b"dhclient"), (b"_UID", uid), (b"_TRANSPORT", b"syslog"), *more]


@pytest.mark.fault(156)
@pytest.mark.needs("journalctl", REMOTE)
def test_large_entries_are_each_one_loss_and_all_others_are_read(tmp_path: Path) -> None:
    large = [
        sent(b"x" * (20 << 20)),
        sent(b"\xfe" * (31 << 20)),
        sent(b"\n" * 5000),
        sent(b"y" * 5000, uid=b"1000"),  # no loss: no signature is counted from a user's program of that name
        sent(b"fields", *[(b"F%d" % number, BINARY) for number in range(1000)]),
        *[sent(b"%d " % number + b"z" * (1 << 20)) for number in range(20)],
    ]
    entries = [entry for number, one in enumerate(large) for entry in (one, sent(b"line %d" % number))]
    lab = Journal(tmp_path, [sent(b"first"), *entries])
    reader = lab.reader()
    read = [entry.message for entry in lab.read(reader) if entry.message]
    assert sorted(read) == sorted([b"first", b"fields", *[b"line %d" % number for number in range(len(large))]])
    assert reader.oversize == 23
    assert (reader.restarts, reader.vacuumed) == (0, 0)
    assert lab.peak < journal_child.MEMORY + MARGIN


@pytest.mark.fault(156)
@pytest.mark.needs("journalctl", REMOTE)
def test_entries_that_journalctl_dies_of_are_skipped_and_all_others_are_read(tmp_path: Path) -> None:
    of_a_user = [(b"_COMM", b"dhclient"), (b"_UID", b"1000"), (b"_TRANSPORT", b"syslog")]
    lab = Journal(
        tmp_path,
        [
            [*MANY_MESSAGES, *SENDER],
            sent(b"a"),
            [*MANY_MESSAGES, *SENDER],
            sent(b"b"),
            *[[*MANY_MESSAGES, *of_a_user]] * 3,
            sent(b"c"),
            sent(b"d"),
        ],
    )
    reader = lab.reader()
    assert [entry.message for entry in lab.read(reader)] == [b"a", b"b", b"c", b"d"]
    assert (reader.oversize, reader.vacuumed) == (2, 0)
    assert not reader.is_failing
    assert lab.peak < journal_child.MEMORY + MARGIN
    again = lab.reader(reader.cursor)
    assert lab.read(again) == []
    assert again.oversize == 0


@pytest.mark.fault(156)
@pytest.mark.needs("journalctl", REMOTE)
def test_a_restart_at_the_entry_that_journalctl_dies_of_goes_on_behind_it(tmp_path: Path) -> None:
    lab = Journal(tmp_path, [sent(b"a"), [*MANY_MESSAGES, *SENDER], sent(b"b")])
    arguments = (*lab.command, *journal_child.output_arguments(select=True, message=False))
    listed = subprocess.run(arguments, check=True, capture_output=True).stdout.splitlines()
    entry = journal_entry.parse(listed[1])
    assert entry is not None
    reader = lab.reader(entry.cursor)
    assert [entry.message for entry in lab.read(reader)] == [b"b"]
    assert (reader.oversize, reader.vacuumed) == (0, 0)


@pytest.mark.fault(156)
def test_a_line_too_long_for_the_reader_is_one_loss_whatever_the_reads(tmp_path: Path) -> None:
    program = tmp_path / "journalctl"
    entry = '{"__CURSOR":"%s","__REALTIME_TIMESTAMP":"1","MESSAGE":"%s"}'
    (tmp_path / "entries").write_text(
        "\n".join([entry % ("a", "one"), entry % ("b", "x" * (5 << 20)), entry % ("c", "two"), entry % ("d", "y" * (2 << 20)), ""])
    )
    cases = f"*--version*) echo systemd 219;; *--output-fields*) exit 1;; *) cat {tmp_path}/entries"
    program.write_text(f"#!/bin/sh\ncase $* in {cases};; esac\n")
    program.chmod(0o755)
    reader = JournalReader([], command=(str(program),))
    entries: list[JournalEntry] = []
    end = time.monotonic() + 20
    while not reader.is_following and time.monotonic() < end:
        entries += reader.read(1.0)
    reader.close()
    assert [entry.message for entry in entries] == [b"one", b"two"]
    assert reader.oversize == 2

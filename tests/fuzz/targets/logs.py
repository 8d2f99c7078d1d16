"""Targets of the log collector: records, entries, lines, packs, archives."""

from __future__ import annotations

import functools
import json
import math
import os
import re
from pathlib import Path
from unittest import mock

from collectors.compression import CompressionError, decompress
from collectors.logs.matching import hostile_lines, packs, timestamps
from collectors.logs.matching.database import Database
from collectors.logs.matching.header import split_header
from collectors.logs.matching.instance import instance_of
from collectors.logs.matching.matcher import Matcher, allow_any, allow_program_tag
from collectors.logs.matching.pattern import BadPattern, prefilter
from collectors.logs.scan import archive, blocks
from collectors.logs.scan.journal_export import is_export, match_entries
from collectors.logs.sources import journal_entry, kmsg, own_lines
from collectors.logs.sources.kmsg import Kmsg
from collectors.logs.tailing.compressed_copy import CompressedTail
from collectors.logs.tailing.tail import BLOCK_BYTES, Tail, content_matches
from collectors.model import BadInput
from tests.fuzz.target import Target, divide, lines_of, put, text

_REFERENCE = 1_790_000_000.0
_TAGS = frozenset({"dhclient", "chronyd", "smartd"})
_EMPTY = Path("/nonexistent/signatures")


def _kmsg(data: bytes) -> None:
    record = kmsg.parse(data)
    assert record is None or (b"\n" not in record.text and b"\0" not in record.text)
    assert record is None or (record.priority >> 3 == 0) == record.is_from_kernel


def _kmsg_stream(data: bytes) -> None:
    descriptor = os.memfd_create("kmsg")
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    stream = Kmsg(descriptor)
    try:
        found = stream.read()
        assert all(b"\n" not in record.text for record in found)
    finally:
        stream.close()


def _journal_entry(data: bytes) -> None:
    entry = journal_entry.parse(data)
    assert entry is None or (math.isfinite(entry.at) and b"\n" not in entry.message)


def _header(data: bytes) -> None:
    line = data.partition(b"\n")[0]
    header = split_header(line, _TAGS)
    assert header.message in line
    assert header.times >= 1
    timestamps.parse(header.time, _REFERENCE)


def _timestamp(data: bytes) -> None:
    found = timestamps.parse(data, _REFERENCE)
    assert found is None or math.isfinite(found)


@functools.cache
def _matcher() -> Matcher:
    """Compile the shipped signatures in this process: the compiler's own process is not what is tested."""
    import hyperscan  # noqa: PLC0415 — as the program does

    from collectors.logs.matching.compile_database import compile_database  # noqa: PLC0415
    from collectors.logs.matching.database import REPEATED  # noqa: PLC0415

    signatures = packs.load(samples=True).signatures
    expressions = [*(prefilter(signature.pattern) for signature in signatures), REPEATED]
    return Matcher(signatures, Database(hyperscan.dumpb(compile_database(expressions))))


def _matches(data: bytes) -> None:
    """Hyperscan's candidates and `re` over every signature find the same."""
    block = data.replace(b"last message repeated", b"last message counted")
    found = [(match.start, match.signature.id) for match in _matcher().match_block(block, allow_any)]
    expected, start = [], 0
    for line in block.split(b"\n"):
        expected += [(start, match.signature.id) for match in _matcher().match_line(line, allow_any)]
        start += len(line) + 1
    assert sorted(found) == sorted(expected)


def _block(data: bytes) -> None:
    for match in _matcher().match_block(data, allow_program_tag):
        assert len(match.instance) <= 128
        assert match.instance.isprintable()
        assert match.times >= 1


def _instance(data: bytes) -> None:
    names = ("interface", "device", "pci", "unit", "server", "cgroup")
    found = instance_of(dict(zip(names, data.decode("utf-8", "backslashreplace").split("\f"), strict=False)))
    assert found.isprintable()
    assert len(found) <= 128


def _pack(data: bytes) -> None:
    """The time limit of crafted lines is not what is tested: it would be all that an execution does."""
    folder = put("packs/user.toml", data).parent
    problems: list[str] = []
    with mock.patch.object(packs, "SHIPPED", _EMPTY), mock.patch.object(packs, "worst_case_seconds", lambda _pattern: 0.0):
        found = packs.read([folder], problems, samples=True)
    for signature in found.signatures:
        assert signature.expression is not None
        assert signature.longest >= 0
    assert all(problem.startswith(str(folder)) for problem in problems)


def _pattern(data: bytes) -> None:
    """What `re` finds, the prefilter finds too."""
    pattern, line = map(text, divide(data, 2))
    cheap = prefilter(pattern)
    expression, sample = re.compile(pattern.encode()), line.encode().replace(b"\n", b" ")
    if len(sample) <= 64 and hostile_lines.worst_case_seconds(pattern, lengths=(32,)) < hostile_lines.SLOW and expression.search(sample):
        assert re.search(cheap.encode("latin-1").replace(b"(?i)", b"", 1) if cheap.startswith("(?i)") else cheap.encode("latin-1"),
                         sample, re.IGNORECASE if cheap.startswith("(?i)") else 0), cheap  # fmt: skip


def _export(data: bytes) -> None:
    is_export(data[:8192])
    for match, entry in match_entries(_matcher(), data):
        assert entry.allows(match.signature)
        assert entry.at is None or math.isfinite(entry.at)


def _blocks(data: bytes) -> None:
    """Two parts of a file have each line once."""
    cut, content = int.from_bytes(data[:2], "big"), data[2:]
    path, parts = str(put("log", content)), []
    middle = min(cut, len(content))
    for start, stop in ((0, middle), (middle, len(content))):
        parts += list(blocks.blocks(path, start, stop, lambda _read: None))
    if all(len(line) < blocks.LINE_HEAD_BYTES for line in content.split(b"\n")):
        assert b"".join(parts) == content


def _archive(data: bytes) -> None:
    path = str(put("archive.gz", data))
    archive.inspect(path)
    for block in archive.stream(path, lambda _read: None):
        assert block


def _compression(data: bytes) -> None:
    assert len(decompress(data, 1 << 20, 12 << 20)) < 1 << 20


def _own_lines(data: bytes) -> None:
    unit = own_lines.unit_of(text(data))
    assert "/" not in unit
    own_lines.is_own_line(split_header(data.partition(b"\n")[0]))


def _tail(data: bytes) -> None:
    """A file that is read to its end: each line once, whole."""
    descriptor = os.open(put("tail", data), os.O_RDONLY)
    try:
        tail, lines = Tail(descriptor), b""
        for _ in range(len(data) + 2):
            if (block := tail.read(final=True)) is None:
                break
            lines += block.lines
        assert content_matches(descriptor, tail.position())
    finally:
        os.close(descriptor)
    if b"\0" not in data and len(data) < BLOCK_BYTES:
        assert lines.rstrip(b"\n") == data.rstrip(b"\n")


def _compressed_tail(data: bytes) -> None:
    descriptor = os.open(put("tail.gz", data), os.O_RDONLY)
    try:
        tail = CompressedTail(descriptor, lambda: None)
        for _ in range(1000):
            if tail.read(final=True) is None:
                break
        other = CompressedTail(descriptor, lambda: None)
        assert other.seek(tail.position()) or tail.offset != other.offset
    finally:
        os.close(descriptor)


def _compressed() -> list[bytes]:
    import bz2  # noqa: PLC0415
    import gzip  # noqa: PLC0415
    import lzma  # noqa: PLC0415

    from collectors.compression import zstd_module  # noqa: PLC0415

    plain = b"Nov 28 03:00:00 host kernel: e1000: eth0 NIC Link is Down\n" * 4
    packed = [
        gzip.compress(plain),
        bz2.compress(plain),
        lzma.compress(plain),
        lzma.compress(plain, lzma.FORMAT_ALONE),
        zstd_module().compress(plain),
    ]
    return [*packed, packed[0] + packed[0], packed[1] + bytes(8) + packed[1], packed[4] * 2, packed[2][:-9], plain]


def _kmsg_seeds() -> list[bytes]:
    return [
        b"6,1,0,-;Linux version 6.1.0\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:05.0\n",
        b"12,4711,99999999,c,caller=T1;text\\x0awith\\x00escapes\\xff",
        b"0,18446744073709551615,18446744073709551615,+;" + b"x" * 60,
        b"30,2,5,-;systemd[1]: Started\n",
    ]


def _entry_seeds() -> list[bytes]:
    plain = {"__CURSOR": "s=1;i=2", "__REALTIME_TIMESTAMP": "1790000000000000", "MESSAGE": "text", "_TRANSPORT": "kernel", "_UID": "0"}
    rows = [
        plain,
        {
            **plain,
            "MESSAGE": [104, 105, 10, 255],
            "_COMM": "dhclient",
            "_SYSTEMD_UNIT": "a.service",
            "_EXE": "/usr/sbin/dhclient",
            "_PID": "1",
        },
        {**plain, "MESSAGE": None, "_SOURCE_MONOTONIC_TIMESTAMP": "123456"},
        {**plain, "MESSAGE": ["one", "two"], "_COMM": ["a", [98]], "_HOSTNAME": "h", "SYSLOG_IDENTIFIER": "x/y"},
        {**plain, "MESSAGE": "\ud800", "__REALTIME_TIMESTAMP": "9" * 400},
    ]
    return [json.dumps(row).encode() for row in rows]


def _pack_seeds() -> list[bytes]:
    shipped = [path.read_bytes()[:1500] for path in sorted(packs.SHIPPED.glob("*.toml"))[::6]]
    whole = b'[source]\ntags = ["a"]\n[[signature]]\nid = "x.y"\npattern = \'a(?P<device>[a-z]{1,9}) b\'\nfamily = "storage"\n'
    more = b'severity = "info"\nwindow = "1h"\nmatch = ["ab b"]\n[signature.escalate]\nseverity = "critical"\ncount = 3\nwithin = "1m"\n'
    return [*shipped, whole, whole + more, b"[source]\nkernel = true\n" + whole[20:], b"[[signature]]\nid = 1\n", b"a = " + b"[" * 40]


_WORDS = (b" kernel: ", b"[  12.345678] ", b"<6>", b"Nov 28 03:00:00 ", b"2026-11-28T03:00:00.123456+00:00 ", b"message repeated 3 times: [ ", b"]",
          b"last message repeated 3 times", b"dhclient[1]: ")  # fmt: skip
_LOGS = ("fixtures/logs/negatives.txt", "collectors/logs/foreign/*.txt")
_ROOM = "collectors.logs."

TARGETS = (
    Target("logs.kmsg", (_ROOM + "sources.kmsg",), _kmsg, _kmsg_seeds, most=16_384, words=(b",-;", b"\\x0a", b",c,")),
    Target("logs.kmsg_stream", (_ROOM + "sources.kmsg",), _kmsg_stream, _kmsg_seeds, words=(b",-;", b"\n ")),
    Target("logs.journal_entry", (_ROOM + "sources.journal_entry",), _journal_entry, _entry_seeds, most=1 << 20,
           words=(b'"MESSAGE"', b'"_UID"', b'"__REALTIME_TIMESTAMP"', b"null", b'"_COMM"')),
    Target("logs.header", (_ROOM + "matching.header",), _header, lambda: lines_of(*_LOGS, step=23), most=8192, seconds=0.05, words=_WORDS),
    Target("logs.timestamps", (_ROOM + "matching.timestamps",), _timestamp, lambda: [
        b"2026-11-28T03:00:00.123456789+05:30", b"Nov 28 03:00:00", b"Sat Nov 28 03:00:00 2026", b"11 29 03:00:00", b"1790000000.123456",
        b"Feb 29 03:00:60", "févr. 1 00:00:00".encode(), b"9999-12-31 23:59:59Z", b"0001-01-01T00:00:00Z", b"2026-11-28T03:00:00+99:99",
    ], most=4096),
    Target("logs.matches", (_ROOM + "matching.matcher",), _matches, lambda: lines_of(*_LOGS, step=29), length=1024, most=8192, seconds=5.0,
           words=_WORDS),
    Target("logs.block", (_ROOM + "matching.matcher", _ROOM + "matching.database", _ROOM + "matching.header"), _block,
           lambda: [*lines_of(*_LOGS, step=29), b"kernel: a\nlast message repeated 9 times\n"], words=_WORDS),
    Target("logs.instance", (_ROOM + "matching.instance",), _instance, lambda: [b"eth0", b"a\fsda1", b"\f\f\f" + b"\xff" * 200, b"\f\f\f\f\f/k/" + b"x" * 200]),
    Target("logs.pack", (_ROOM + "matching.packs",), _pack, _pack_seeds, words=(b"[[signature]]", b"pattern = '", b"cleared_by", b"escalate")),
    Target("logs.pattern", (_ROOM + "matching.pattern", _ROOM + "matching.hostile_lines"), _pattern, lambda: [
        rb"a(?P<device>[a-z]{1,9}) (?:b|c+)?$" + b"\fabc b", rb"(?i)^[^\d\s]{2,40}\bx*" + b"\fABx", rb"\W[\w.-]{3,}?\.$", b"(a+)+", rb"(?i:A|b)[^a]",
    ], allowed=(BadPattern,), most=2000, length=400, words=(b"(?:", b"(?P<a>", b"{1,40}", b"(?i)", rb"\d", rb"[^\s]", b"(?!", b"\\b")),
    Target("logs.export", (_ROOM + "scan.journal_export",), _export, _entry_seeds, seconds=1.0, words=(b'"MESSAGE"', b'"_HOSTNAME"', b"\n")),
    Target("logs.blocks", (_ROOM + "scan.blocks",), _blocks, lambda: [
        b"\0\x05one\ntwo\nlast message repeated 2 times\nthree\n", b"\0\0\n\n\n", b"\0\x09" + b"a" * 20, b"\0\x01x\nlast message repeated 1 time\n" * 3,
    ], words=(b"last message repeated", b"\n")),
    Target("logs.archive", (_ROOM + "scan.archive",), _archive, _compressed, allowed=(archive.IncompleteRead, BadInput), memory=160 << 20),
    Target("logs.own_lines", (_ROOM + "sources.own_lines",), _own_lines, lambda: [
        b"0::/system.slice/vitald.service\n", b"Nov 28 03:00:00 h vitald[1]: x", b"1:name=systemd:/user.slice/user-0.slice/a.service/b\n", b"0::/docker/a\n",
    ]),
    Target("logs.tail", (_ROOM + "tailing.tail",), _tail, lambda: [b"one\ntwo\n", b"one\ntw", bytes(5) + b"one\n", b"\0", b"\n\n"], seconds=1.0, most=1 << 17),
    Target("logs.compressed_tail", (_ROOM + "tailing.compressed_copy",), _compressed_tail, _compressed, allowed=(CompressionError,), seconds=1.0, memory=160 << 20),
    Target("logs.compression", ("collectors.compression",), _compression, _compressed, allowed=(CompressionError,), memory=160 << 20),
)  # fmt: skip

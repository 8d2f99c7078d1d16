from __future__ import annotations

import gzip
import json
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.logs.matching.packs import load
from collectors.logs.scan import archive, parts
from collectors.logs.scan.years import resolve

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.logs.matching.matcher import Matcher

LINES = [line.encode() for signature in load(samples=True).signatures for line in signature.match][::5]
KERNEL = {"__REALTIME_TIMESTAMP": "1709632800000000", "_TRANSPORT": "kernel"}
EXPORT = [json.dumps({**KERNEL, "MESSAGE": line.decode()}).encode() for line in LINES[::7]]
NOISE = st.binary(max_size=60).map(lambda noise: noise.replace(b"\n", b""))
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def ignore(_count: int) -> None:
    pass


def scan_parts(file: Path, matcher: Matcher, size: int) -> tuple[list[parts.ScanEvent], list[str]]:
    """Read a file in parts of that size; return the events and the problems."""
    whole = archive.inspect(str(file))
    divided = (
        [parts.FilePart(0, str(file), start, min(whole.size, start + size)) for start in range(0, whole.size, size)]
        if whole.is_divisible
        else [parts.FilePart(0, str(file), whole=True)]
    )
    read = [parts.read(part, matcher, ignore) for part in divided]
    events = parts.merged(event for one in read for event in one.events if event.signature)
    return list(events), [one.problem for one in read if one.problem]


@pytest.mark.fault(54)
@QUICK
@given(
    lines=st.lists(st.one_of(st.sampled_from(LINES), NOISE, st.just(b"Jul  1 00:00:00 h last message repeated 3 times")), max_size=40),
    size=st.integers(20, 3000),
)
def test_events_do_not_depend_on_parts_or_compression(tmp_path: Path, matcher: Matcher, lines: list[bytes], size: int) -> None:
    data = b"Mar  5 10:00:00 h begins\n" + b"\n".join(lines)
    (tmp_path / "log").write_bytes(data)
    (tmp_path / "log.gz").write_bytes(gzip.compress(data))
    whole = scan_parts(tmp_path / "log", matcher, 1 << 30)
    assert scan_parts(tmp_path / "log", matcher, size) == whole
    assert scan_parts(tmp_path / "log.gz", matcher, size) == whole
    assert whole[1] == []


@QUICK
@given(entries=st.lists(st.sampled_from(EXPORT), min_size=1, max_size=20), size=st.integers(20, 3000))
def test_events_of_an_export_do_not_depend_on_its_parts(tmp_path: Path, matcher: Matcher, entries: list[bytes], size: int) -> None:
    (tmp_path / "log").write_bytes(b"\n".join(entries))
    assert scan_parts(tmp_path / "log", matcher, size) == scan_parts(tmp_path / "log", matcher, 1 << 30)


@QUICK
@given(head=st.sampled_from([b"", b"\x1f\x8b", b"\xfd7zXZ\0", b"BZh", b"\x28\xb5\x2f\xfd", b'{"MESSAGE":']), noise=st.binary(max_size=400))
def test_no_bytes_raise(tmp_path: Path, matcher: Matcher, head: bytes, noise: bytes) -> None:
    (tmp_path / "log").write_bytes(head + noise)
    scan_parts(tmp_path / "log", matcher, 100)


def test_a_file_removed_before_it_is_read_is_a_problem(tmp_path: Path, matcher: Matcher) -> None:
    result = parts.read(parts.FilePart(0, str(tmp_path / "none"), 0, 100), matcher, ignore)
    assert result.problem == "cannot be read: No such file or directory"


def test_a_turn_of_the_year_between_two_events_is_detected(tmp_path: Path, matcher: Matcher) -> None:
    quiet = b"".join(b"%s 10 10:00:00 h app[1]: nothing\n" % month * 2000 for month in (b"Apr", b"Jul", b"Oct", b"Jan", b"Mar"))
    fault = b"Mar 15 10:00:00 h kernel: Out of memory: Killed process 1 (init) total-vm:1kB\n"
    (tmp_path / "log").write_bytes(fault + quiet + fault)
    events = parts.read(parts.FilePart(0, str(tmp_path / "log"), 0, 10**9), matcher, ignore).events
    assert [event.at[:6] if isinstance(event.at, bytes) else b"" for event in events if not event.signature]
    reference = datetime(2024, 3, 16).timestamp()  # noqa: DTZ001
    at = resolve([event.at if isinstance(event.at, bytes) else b"" for event in events], reference)
    years = [datetime.fromtimestamp(one).year for one, event in zip(at, events, strict=True) if event.signature and one]  # noqa: DTZ006
    assert years == [2023, 2024]

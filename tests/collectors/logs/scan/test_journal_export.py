from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from collectors.logs.scan import journal_export as exports

if TYPE_CHECKING:
    from collectors.logs.matching.matcher import Matcher

KERNEL = {"_TRANSPORT": "kernel", "SYSLOG_IDENTIFIER": "kernel"}
OOM = "Out of memory: Killed process 1 (init) total-vm:1kB, anon-rss:1kB, file-rss:0kB, shmem-rss:0kB"


def entry(message: object, **fields: object) -> bytes:
    base: dict[str, Any] = {"__CURSOR": "s=1", "__REALTIME_TIMESTAMP": "1534860261221373", "_HOSTNAME": "web1", "MESSAGE": message}
    return json.dumps({**base, **fields}).encode() + b"\n"


def signature_ids(matcher: Matcher, block: bytes) -> list[str]:
    return [match.signature.id for match, _ in exports.match_entries(matcher, block)]


def test_an_entry_has_signature_time_and_host(matcher: Matcher) -> None:
    block = entry("nothing") + entry(OOM, **KERNEL) + b"not json\n" + entry("No DHCPOFFERS received.", _COMM="dhclient")
    (first, where), (second, _) = exports.match_entries(matcher, block)
    assert (first.signature.id, where.at, where.host, second.signature.id) == ("oom-kill", 1534860261.221373, "web1", "dhclient-no-offers")


def test_the_kernel_is_recognised_by_its_transport_alone(matcher: Matcher) -> None:
    assert signature_ids(matcher, entry(OOM, **KERNEL)) == ["oom-kill"]
    assert signature_ids(matcher, entry(OOM, _TRANSPORT="syslog", SYSLOG_IDENTIFIER="kernel", _COMM="kernel")) == []
    assert signature_ids(matcher, entry("No DHCPOFFERS received.", **KERNEL)) == []


@pytest.mark.parametrize(
    "message",
    [list(OOM.encode()), ["first value", OOM][::-1], f'{OOM} "\\ü'],
    ids=["bytes", "several values", "escapes"],
)
def test_messages_in_every_encoding_are_read(matcher: Matcher, message: object) -> None:
    assert signature_ids(matcher, entry(message, **KERNEL)) == ["oom-kill"]


@pytest.mark.fault(151)
def test_a_programs_entry_may_hold_several_lines_and_the_kernels_is_one_record(matcher: Matcher) -> None:
    """A newline in the kernel's record is a user's, as in the name of a process."""
    assert signature_ids(matcher, entry("before\nNo DHCPOFFERS received.\nafter", _COMM="dhclient")) == ["dhclient-no-offers"]
    assert signature_ids(matcher, entry(f"before\n{OOM}\nafter", **KERNEL)) == []


def test_entries_without_a_message_or_a_time_are_accepted(matcher: Matcher) -> None:
    assert signature_ids(matcher, b"{}\n[]\n\x1e" + entry(None) + b'{"MESSAGE":' + b"[" * 5000 + b"\n") == []
    ((_, where),) = exports.match_entries(matcher, entry(OOM, **KERNEL, __REALTIME_TIMESTAMP="soon"))
    assert where.at is None


def test_other_json_is_no_export() -> None:
    assert exports.is_export(entry("x"))
    assert exports.is_export(b'{ "__CURSOR" : "s=1", "MESSAGE" : "x" }\n')
    assert not exports.is_export(b'{"log":"No DHCPOFFERS received","stream":"stdout"}\n')
    assert not exports.is_export(b"Jul  1 00:00:00 h app: MESSAGE\n")

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


def found(matcher: Matcher, block: bytes) -> list[str]:
    return [match.signature.id for match, _ in exports.match_entries(matcher, block)]


def test_an_entry_says_what_when_where_and_on_which_host(matcher: Matcher) -> None:
    block = entry("nothing") + entry(OOM, **KERNEL) + b"not json\n" + entry("No DHCPOFFERS received.", _COMM="dhclient")
    (first, where), (second, _) = exports.match_entries(matcher, block)
    assert (first.signature.id, where.at, where.host, second.signature.id) == ("oom-kill", 1534860261.221373, "web1", "dhclient-no-offers")


def test_the_kernel_is_known_by_its_transport_alone(matcher: Matcher) -> None:
    assert found(matcher, entry(OOM, **KERNEL)) == ["oom-kill"]
    assert found(matcher, entry(OOM, _TRANSPORT="syslog", SYSLOG_IDENTIFIER="kernel", _COMM="kernel")) == []
    assert found(matcher, entry("No DHCPOFFERS received.", **KERNEL)) == []


@pytest.mark.parametrize(
    "message",
    [list(OOM.encode()), ["first value", OOM][::-1], f"before\n{OOM}\nafter", f'{OOM} "\\ü'],
    ids=["bytes", "several values", "several lines", "escapes"],
)
def test_messages_in_every_spelling_are_read(matcher: Matcher, message: object) -> None:
    assert found(matcher, entry(message, **KERNEL)) == ["oom-kill"]


def test_entries_without_a_message_or_a_time_do_no_harm(matcher: Matcher) -> None:
    assert found(matcher, b"{}\n[]\n\x1e" + entry(None) + b'{"MESSAGE":' + b"[" * 5000 + b"\n") == []
    ((_, where),) = exports.match_entries(matcher, entry(OOM, **KERNEL, __REALTIME_TIMESTAMP="soon"))
    assert where.at is None


def test_other_json_is_not_taken_for_the_journal() -> None:
    assert exports.is_export(entry("x"))
    assert exports.is_export(b'{ "__CURSOR" : "s=1", "MESSAGE" : "x" }\n')
    assert not exports.is_export(b'{"log":"No DHCPOFFERS received","stream":"stdout"}\n')
    assert not exports.is_export(b"Jul  1 00:00:00 h app: MESSAGE\n")

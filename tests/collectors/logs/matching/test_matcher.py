from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.logs.matching.database import open_database
from collectors.logs.matching.header import split_header
from collectors.logs.matching.matcher import Match, Matcher, allow_claimed_origin, allow_kernel, allow_program_tag
from collectors.logs.matching.packs import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from collectors.logs.matching.packs import Packs

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def ids(matches: Sequence[Match]) -> list[str]:
    return [match.signature.id for match in matches]


def comparable(matches: Sequence[Match]) -> list[tuple[str, bytes, dict[str, str], int]]:
    return [(match.signature.id, match.line, dict(match.fields), match.times) for match in matches]


ALL = [line.encode() for signature in load(samples=True).signatures for line in (*signature.match, *signature.no_match)]


def mangled() -> st.SearchStrategy[bytes]:
    """Lines near the real ones: cut, joined, with a byte changed, and noise."""

    def change(line: bytes, at: int, byte: int, cut: int) -> bytes:
        changed = bytearray(line)
        changed[at % len(line)] = byte
        return bytes(changed[: cut or None]).replace(b"\n", b" ")

    line = st.sampled_from(ALL)
    return st.one_of(
        line,
        st.builds(change, line, st.integers(0, 500), st.integers(0, 255), st.integers(0, 200)),
        st.builds(lambda a, b: a + b, line, line),
        st.lists(line, min_size=3, max_size=40).map(b" ".join),  # long ones, where `re` starts near hyperscan's offset
        st.binary(max_size=80).map(lambda noise: noise.replace(b"\n", b"")),
        line.map(lambda text: text + b"\r"),
        line.map(lambda text: b"\0" * 9 + text),
        st.builds(
            lambda text, times: b"Jul  1 00:00:00 h dhclient[1]: message repeated %d times: [ %s]" % (times, text), line, st.integers(0, 99)
        ),
    )


@pytest.mark.fault(54)
@QUICK
@given(lines=st.lists(mangled(), min_size=1, max_size=12))
def test_the_fast_matcher_equals_the_naive_one(matcher: Matcher, lines: list[bytes]) -> None:
    block = b"".join(line + b"\n" for line in lines)
    for allow in (allow_claimed_origin, allow_program_tag, allow_kernel):
        naive = [match for line in lines for match in matcher.match_line(line, allow)]
        assert comparable(matcher.match_block(block, allow)) == comparable(naive)


@pytest.mark.fault(54)
def test_the_fast_matcher_equals_the_naive_one_for_any_origin(matcher: Matcher) -> None:
    rng = random.Random(20260)  # noqa: S311 — a seed, not a secret
    for _ in range(400):
        line = rng.choice(ALL)
        at = rng.randrange(len(line))
        line = line[:at] + bytes([rng.randrange(256)]) * rng.randrange(3) + line[at + rng.randrange(3) :]
        line = line.replace(b"\n", b"")
        everything = lambda _signature, _header: True  # noqa: E731
        assert comparable(matcher.match_block(line + b"\n", everything)) == comparable(matcher.match_line(line, everything))


def test_matches_are_in_the_order_of_lines_and_have_fields(matcher: Matcher) -> None:
    block = (
        b"Jul 26 04:08:00 web1 dhclient[7]: DHCPDISCOVER on eth1 to 255.255.255.255 port 67 interval 9\n"
        b"Jul 26 04:08:01 web1 sshd[9]: nothing\n"
        b"Jul 26 04:08:09 web1 dhclient[7]: No DHCPOFFERS received.\n"
    )
    first, second = matcher.match_block(block, allow_program_tag)
    assert (first.signature.id, first.instance, first.fields["interval"], first.header.host) == ("dhclient-discover", "eth1", "9", "web1")
    assert (second.signature.id, second.instance, second.header.time) == ("dhclient-no-offers", "", b"Jul 26 04:08:09")


def test_a_dhcp_server_is_not_an_instance(matcher: Matcher) -> None:
    (match,) = matcher.match_block(b"Jul 26 04:08:00 h dhclient[7]: DHCPACK from 10.0.0.1 (xid=0x5d1a4bfa)\n", allow_program_tag)
    assert (match.fields["dhcp_server"], match.instance) == ("10.0.0.1", "")


def test_a_repeated_message_counts_as_often_as_syslog_reports(matcher: Matcher) -> None:
    new = matcher.match_block(b"Jul 26 04:08:00 h dhclient[7]: message repeated 4 times: [ No DHCPOFFERS received.]\n", allow_program_tag)
    assert [(match.signature.id, match.times) for match in new] == [("dhclient-no-offers", 4)]
    old = matcher.match_block(
        b"Jul 26 04:08:00 h dhclient: No DHCPOFFERS received.\nJul 26 04:08:30 h last message repeated 3 times\n", allow_program_tag
    )
    assert [(match.signature.id, match.times) for match in old] == [("dhclient-no-offers", 1), ("dhclient-no-offers", 3)]
    assert ids(matcher.match_block(b"Jul 26 04:08:30 h last message repeated 3 times\n", allow_program_tag)) == []


@pytest.mark.fault(9)
def test_a_kernel_tag_in_a_file_is_not_the_kernel(matcher: Matcher) -> None:
    forged = b"Jul 26 04:08:00 h kernel: [12.000001] Out of memory: Killed process 1 (init) total-vm:1kB\n"
    assert ids(matcher.match_block(forged, allow_claimed_origin)) == ["oom-kill"]  # `vitald scan` accepts the claim
    assert ids(matcher.match_block(forged, allow_program_tag)) == []


def test_lines_of_other_programs_do_not_match(matcher: Matcher) -> None:
    line = b"Jul 26 04:08:00 h %s: No DHCPOFFERS received.\n"
    assert ids(matcher.match_block(line % b"/sbin/dhclient[3]", allow_program_tag)) == ["dhclient-no-offers"]
    for other in (b"sshd[3]", b"sshd[3]: Invalid user dhclient", b"kernel"):
        assert ids(matcher.match_block(line % other, allow_program_tag)) == []


@pytest.mark.fault(6)
def test_fields_of_invalid_utf8_are_text(matcher: Matcher) -> None:
    (match,) = matcher.match_block(b"[1.000001] EXT4-fs error (device sda1): f:1: bad \xff\xed\xa0\x80\0 name\n", allow_claimed_origin)
    match.fields["detail"].encode()
    assert "\\xff" in match.fields["detail"]


def test_the_database_is_cached_and_an_invalid_file_is_replaced(tmp_path: Path, packs: Packs, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "database"
    few = [packs.by_id["dhclient-no-offers"], packs.by_id["oom-kill"]]
    open_database(few, file)
    good = file.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("collectors.logs.matching.database._compile", lambda *_: pytest.fail("compiled again"))
        assert open_database(few, file).scan(b"No DHCPOFFERS received\n")
    for bad in (b"", good[:100], good[:-1] + b"x", good.replace(b"-1\n", b"-0\n", 1), b"\0" * 5000):
        file.write_bytes(bad)
        assert open_database(few, file).scan(b"No DHCPOFFERS received\n")
        assert file.read_bytes() == good
    assert (
        open_database([packs.by_id["oom-kill"]], file).scan(b"No DHCPOFFERS received\n") == []
    )  # another set of patterns, another database
    file.unlink()
    file.mkdir()
    assert open_database(few, file).scan(b"No DHCPOFFERS received\n")


def test_a_cache_that_is_a_symlink_is_not_followed(tmp_path: Path, packs: Packs) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "database").symlink_to(target)
    open_database(packs.signatures[:2], tmp_path / "database")
    assert target.read_text() == "precious"


def test_without_a_writable_cache_the_database_is_in_memory_only(tmp_path: Path, packs: Packs) -> None:
    assert open_database([packs.by_id["dhclient-no-offers"]], tmp_path / "none" / "database").scan(b"No DHCPOFFERS received\n")


@pytest.mark.parametrize("line", [b"Jul  1 00:00:00 h kernel: a: kernel: [   12.345678] b", b"[   12.345678] a: kernel: [   12.345678] b"])
def test_only_the_header_is_removed_from_a_message(line: bytes) -> None:
    assert split_header(line) == replace(split_header(line), message=b"a: kernel: [   12.345678] b", program="kernel")

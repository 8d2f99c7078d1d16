from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.logs.matching.database import open_database
from collectors.logs.matching.header import split
from collectors.logs.matching.matcher import Hit, Matcher, believed, by_kernel, said_by_program
from collectors.logs.matching.packs import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from collectors.logs.matching.packs import Packs

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.signature.id for hit in hits]


def seen(hits: Sequence[Hit]) -> list[tuple[str, bytes, dict[str, str], int]]:
    return [(hit.signature.id, hit.line, dict(hit.fields), hit.times) for hit in hits]


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
        st.lists(line, min_size=3, max_size=40).map(b" ".join),  # long ones, where `re` looks only near what hyperscan has seen
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
    for allow in (believed, said_by_program, by_kernel):
        naive = [hit for line in lines for hit in matcher.match_line(line, allow)]
        assert seen(matcher.hits(block, allow)) == seen(naive)


@pytest.mark.fault(54)
def test_the_fast_matcher_equals_the_naive_one_where_no_gate_stands_before_it(matcher: Matcher) -> None:
    rng = random.Random(20260)  # noqa: S311 — a seed, not a secret
    for _ in range(400):
        line = rng.choice(ALL)
        at = rng.randrange(len(line))
        line = line[:at] + bytes([rng.randrange(256)]) * rng.randrange(3) + line[at + rng.randrange(3) :]
        line = line.replace(b"\n", b"")
        everything = lambda _signature, _header: True  # noqa: E731
        assert seen(matcher.hits(line + b"\n", everything)) == seen(matcher.match_line(line, everything))


def test_hits_come_in_the_order_of_their_lines_with_their_fields(matcher: Matcher) -> None:
    block = (
        b"Jul 26 04:08:00 web1 dhclient[7]: DHCPDISCOVER on eth1 to 255.255.255.255 port 67 interval 9\n"
        b"Jul 26 04:08:01 web1 sshd[9]: nothing\n"
        b"Jul 26 04:08:09 web1 dhclient[7]: No DHCPOFFERS received.\n"
    )
    first, second = matcher.hits(block, said_by_program)
    assert (first.signature.id, first.instance, first.fields["interval"], first.header.host) == ("dhclient-discover", "eth1", "9", "web1")
    assert (second.signature.id, second.instance, second.header.time) == ("dhclient-no-offers", "", b"Jul 26 04:08:09")


def test_a_repeated_message_counts_as_often_as_syslog_says(matcher: Matcher) -> None:
    new = matcher.hits(b"Jul 26 04:08:00 h dhclient[7]: message repeated 4 times: [ No DHCPOFFERS received.]\n", said_by_program)
    assert [(hit.signature.id, hit.times) for hit in new] == [("dhclient-no-offers", 4)]
    old = matcher.hits(
        b"Jul 26 04:08:00 h dhclient: No DHCPOFFERS received.\nJul 26 04:08:30 h last message repeated 3 times\n", said_by_program
    )
    assert [(hit.signature.id, hit.times) for hit in old] == [("dhclient-no-offers", 1), ("dhclient-no-offers", 3)]
    assert ids(matcher.hits(b"Jul 26 04:08:30 h last message repeated 3 times\n", said_by_program)) == []


@pytest.mark.fault(9)
def test_a_line_of_a_file_that_says_kernel_is_not_the_kernel(matcher: Matcher) -> None:
    forged = b"Jul 26 04:08:00 h kernel: [12.000001] Out of memory: Killed process 1 (init) total-vm:1kB\n"
    assert ids(matcher.hits(forged, believed)) == ["oom-kill"]  # `vitald scan` reads what the file says
    assert ids(matcher.hits(forged, said_by_program)) == []


def test_one_program_cannot_speak_for_another(matcher: Matcher) -> None:
    line = b"Jul 26 04:08:00 h %s: No DHCPOFFERS received.\n"
    assert ids(matcher.hits(line % b"/sbin/dhclient[3]", said_by_program)) == ["dhclient-no-offers"]
    for other in (b"sshd[3]", b"sshd[3]: Invalid user dhclient", b"kernel"):
        assert ids(matcher.hits(line % other, said_by_program)) == []


@pytest.mark.fault(6)
def test_fields_of_broken_bytes_are_text(matcher: Matcher) -> None:
    (hit,) = matcher.hits(b"[1.000001] EXT4-fs error (device sda1): f:1: bad \xff\xed\xa0\x80\0 name\n", believed)
    hit.fields["detail"].encode()
    assert "\\xff" in hit.fields["detail"]


def test_the_database_is_kept_and_a_bad_file_is_made_again(tmp_path: Path, packs: Packs, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_without_a_place_to_write_the_database_lives_in_memory(tmp_path: Path, packs: Packs) -> None:
    assert open_database([packs.by_id["dhclient-no-offers"]], tmp_path / "none" / "database").scan(b"No DHCPOFFERS received\n")


@pytest.mark.parametrize("line", [b"Jul  1 00:00:00 h kernel: a: kernel: [   12.345678] b", b"[   12.345678] a: kernel: [   12.345678] b"])
def test_only_what_stands_before_a_message_is_taken_off_it(line: bytes) -> None:
    assert split(line) == replace(split(line), message=b"a: kernel: [   12.345678] b", program="kernel")

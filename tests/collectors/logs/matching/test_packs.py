from __future__ import annotations

import json
from time import thread_time
from typing import TYPE_CHECKING

import pytest

from collectors.logs.matching.hostile_lines import worst_case_seconds
from collectors.logs.matching.matcher import allow_claimed_origin
from collectors.logs.matching.packs import Packs, load
from collectors.logs.matching.samples import problems
from collectors.model import BadInput

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.logs.matching.matcher import Matcher

GOOD = "[[signature]]\nid = \"mail-sent\"\npattern = 'postfix/smtp\\[\\d+\\]: .* status=sent '\n"


def test_every_signature_matches_its_samples_and_no_other_signature_does(packs: Packs, matcher: Matcher) -> None:
    """A signature for the rest of a class may match too, if it says that it is part of the event that the other reports."""
    for signature in packs.signatures:
        assert signature.match, signature.id
        for line in signature.match:
            matched = [match.signature for match in matcher.match_block(line.encode() + b"\n", allow_claimed_origin)]
            assert [other.id for other in matched if signature.id not in other.part_of] == [signature.id], line


def test_shipped_packs_have_no_problems() -> None:
    assert list(problems(())) == []


def test_every_signature_is_complete(packs: Packs) -> None:
    assert len(packs.signatures) >= 164
    for signature in packs.signatures:
        assert signature.no_match
        assert signature.meaning
        assert signature.remediation
        assert signature.family != "custom"
        assert not signature.source.is_unrestricted


def test_real_lines_of_healthy_hosts_match_no_fault(matcher: Matcher, fixture_lines: dict[str, list[tuple[str, ...]]]) -> None:
    assert len(fixture_lines["negatives.txt"]) > 200
    for line, *_ in fixture_lines["negatives.txt"]:
        assert matcher.match_block(line.encode() + b"\n", allow_claimed_origin) == [], line
    for line, _source, ids in fixture_lines["benign-state.txt"]:
        matches = matcher.match_block(line.encode() + b"\n", allow_claimed_origin)
        assert matches, line
        assert {match.signature.id for match in matches} <= set(ids.split(",")), line
        assert all(match.signature.severity in {"info", "recovery"} for match in matches), line


@pytest.mark.fault(15)
def test_a_crafted_line_costs_every_shipped_signature_less_than_five_milliseconds(packs: Packs) -> None:
    whole = (8192,)
    slow = {
        signature.id: seconds
        for signature in packs.signatures
        if (seconds := worst_case_seconds(signature.pattern, lengths=whole)) >= 0.005
    }
    slow = {
        name: again for name in slow if (again := worst_case_seconds(packs.by_id[name].pattern, lengths=whole)) >= 0.005
    }  # once may be the machine
    assert slow == {}


@pytest.mark.fault(15)
def test_a_crafted_line_costs_the_whole_matcher_less_than_five_milliseconds(packs: Packs, matcher: Matcher) -> None:
    def cost(block: bytes) -> float:
        start = thread_time()
        matcher.match_block(block, allow_claimed_origin)
        return thread_time() - start

    everything = b" ".join(signature.match[0].encode() for signature in packs.signatures)[-8000:]
    for crafted in (everything, b"".join(s.match[0].encode()[-40:] for s in packs.signatures)[:8192], b": " * 4096, b"kernel: [" * 900):
        assert min(cost(crafted + b"\n") for _ in range(5)) < 0.005, crafted[:60]


@pytest.mark.fault(15)
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (GOOD.replace(".* status", "(?=x) status"), "signature 'mail-sent': pattern uses look-ahead or look-behind"),
        (GOOD.replace(".* status", "(a+)+ status"), "signature 'mail-sent': pattern repeats a repeat"),
        (GOOD.replace(".* status", r"(.)\1 status"), "signature 'mail-sent': pattern uses a reference to a group"),
        (GOOD.replace(".* status", "( status"), "signature 'mail-sent': pattern is not a regular expression: missing )"),
        ('[[signature]]\nid = "all"\npattern = ".*"', "signature 'all': pattern matches every line; expected some fixed text"),
        (GOOD.replace("mail-sent", "oom-kill"), "signature 'oom-kill': the id is taken by"),
        (GOOD.replace("mail-sent", "Mail Sent"), "signature 'Mail Sent': id 'Mail Sent' must be lower-case letters"),
        (GOOD + "severty = 1\n", "signature 'mail-sent': Object contains unknown field `severty`"),
        (GOOD + 'mend = "Restart postfix"\n', "mine.toml: signature 'mail-sent': mend: renamed to remediation"),
        (GOOD + 'severity = "bad"\n', "signature 'mail-sent': Invalid enum value 'bad' - at `$.severity`"),
        (GOOD + 'window = "1 hour"\n', "is not a duration"),
        (GOOD + 'cleared_by = ["nothing"]\n', "signature 'mail-sent': cleared_by names 'nothing', which no pack has"),
        (GOOD + 'match = ["nonsense"]\n', "signature 'mail-sent': match: 'nonsense' is not matched"),
        (
            GOOD + 'no_match = ["postfix/smtp[1]: a status=sent b"]\n',
            "signature 'mail-sent': no_match: 'postfix/smtp[1]: a status=sent b' is matched",
        ),
        ("[[signature]]\nid =", "mine.toml: not TOML: Invalid value"),
        ("[signatures]", "mine.toml: Object contains unknown field `signatures`"),
        ("", "mine.toml: has no [[signature]]"),
        ("\xff", "mine.toml: "),
        (GOOD.replace(".* status", "$never"), "signature 'mail-sent': pattern is refused by hyperscan: "),
    ],
)
def test_a_users_bad_signature_is_refused_with_its_file_and_id(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "mine.toml").write_text(text, encoding="latin-1")
    lines = list(problems([tmp_path]))
    assert any(complaint in line for line in lines), lines
    assert all(line.startswith(str(tmp_path / "mine.toml")) and "\n" not in line for line in lines)


def test_a_users_own_counter_is_three_lines(tmp_path: Path) -> None:
    (tmp_path / "mail.toml").write_text(GOOD)
    assert list(problems([tmp_path])) == []
    assert load([tmp_path]).by_id["mail-sent"].severity == "info"


def test_a_missing_directory_counts_as_empty_and_a_file_is_refused(tmp_path: Path) -> None:
    assert load([tmp_path / "none"]).by_id.keys() == load().by_id.keys()
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="file: cannot be read: Not a directory"):
        load([tmp_path / "file"])


@pytest.mark.fault(15)
def test_a_slow_pattern_that_no_rule_forbids_is_refused_by_its_time(tmp_path: Path) -> None:
    (tmp_path / "slow.toml").write_text("[[signature]]\nid = \"slow\"\npattern = '\\w+\\w+\\w+ end'\n")
    assert any("signature 'slow': pattern takes too long" in line for line in problems([tmp_path]))


def test_shipped_texts_are_printable(packs: Packs) -> None:
    for signature in packs.signatures:
        assert json.loads(json.dumps(signature.meaning)).isprintable()


def test_what_replaces_a_fault_is_as_severe_and_has_its_family(packs: Packs) -> None:
    ranks = {"info": 0, "recovery": 0, "warning": 1, "critical": 2}
    parts = [(signature, packs.by_id[name]) for signature in packs.signatures for name in signature.part_of]
    assert parts
    for part, whole in parts:
        assert ranks[whole.severity] >= ranks[part.severity] > 0, (part.id, whole.id)
        assert whole.family == part.family, (part.id, whole.id)
        assert part.id not in whole.part_of, (part.id, whole.id)

"""Patterns of users whose bounds multiply, and packs without end: refused before they cost memory or minutes."""

from __future__ import annotations

import os
import resource
import time
from typing import TYPE_CHECKING

import pytest

from collectors.logs.matching import packs
from collectors.logs.matching.hostile_lines import hostile_lines
from collectors.logs.matching.pattern import BadPattern, prefilter

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.fault(159)


def nested(levels: int, bound: int) -> str:
    pattern = "a"
    for _ in range(levels):
        pattern = f"({pattern}){{{bound}}}"
    return f"x{pattern}y"


@pytest.mark.parametrize("pattern", [nested(6, 32), nested(300, 2), nested(3, 1000), "x(a{1000}){1000}", "x(a{1,32}){0,32}b{60000}"])
def test_bounds_that_multiply_are_refused_at_no_cost(pattern: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadPattern):
        prefilter(pattern)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10


@pytest.mark.parametrize("pattern", ["xa{1000}y", "x([0-9]{1,3}[.]){3}", "x(([a-z]{1,32}:){1,8}){1,8}"])
def test_bounds_that_people_write_are_accepted(pattern: str) -> None:
    assert prefilter(pattern)


def test_a_long_pattern_is_checked_on_a_bounded_number_of_lines() -> None:
    began = time.process_time()
    assert sum(1 for _ in hostile_lines("x" + "(a|b)" * 399, 64)) <= 3 * 102
    assert sum(1 for _ in hostile_lines("x" * 2000, 64)) <= 3 * 102
    assert time.process_time() - began < 10


def signature(name: str) -> str:
    return f'[[signature]]\nid = "{name}"\npattern = "own {name}"\n'


def test_more_packs_and_signatures_than_the_limits_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "_MAX_SIGNATURES", 3)
    (tmp_path / "a.toml").write_text(signature("a") + signature("b"))
    (tmp_path / "b.toml").write_text(signature("c") + signature("d") + signature("e"))
    (tmp_path / "c.toml").write_text(signature("f"))
    problems: list[str] = []
    found = packs.read([tmp_path], problems, samples=False)
    assert {"a", "b", "c"} <= found.by_id.keys()
    assert not {"d", "e", "f"} & found.by_id.keys()
    assert [line.split(":")[0] for line in problems] == [f"{tmp_path}/b.toml", f"{tmp_path}/c.toml"]
    monkeypatch.setattr(packs, "_MAX_FILES", 2)
    problems.clear()
    packs.read([tmp_path], problems, samples=False)
    assert any(line == f"{tmp_path}/c.toml: more than 2 packs of users; expected fewer" for line in problems)


def test_a_fifo_and_a_large_file_are_no_packs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.toml")
    (tmp_path / "large.toml").write_text("#" * ((1 << 20) + 1))
    problems: list[str] = []
    packs.read([tmp_path], problems, samples=False)
    assert problems == [
        f"{tmp_path}/fifo.toml: cannot be read: not a regular file",
        f"{tmp_path}/large.toml: cannot be read: larger than 1 MiB",
    ]

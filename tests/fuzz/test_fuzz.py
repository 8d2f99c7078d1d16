"""The kept inputs of every fuzz target are run again, and every module that decodes foreign bytes has a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fuzz import corpus
from tests.fuzz.execution import execute, stretched
from tests.fuzz.registry import NOT_PARSERS, decoding_modules, targets
from tests.fuzz.target import ROOT, Target

if TYPE_CHECKING:
    from pathlib import Path

TARGETS = targets()
PATIENT = 30.0  # seconds of CPU: no test depends on the machine's speed
pytestmark = [pytest.mark.fault(168)]


@pytest.mark.parametrize("name", TARGETS)
def test_kept_inputs_find_nothing(name: str) -> None:
    target = TARGETS[name]
    for data in (b"", *corpus.load(name)):
        assert execute(target, data, seconds=PATIENT) is None, data


@pytest.mark.parametrize("name", TARGETS)
def test_each_target_has_a_small_corpus(name: str) -> None:
    kept = corpus.load(name)
    assert kept, "run `make fuzz ONLY=" + name + "` and commit its corpus"
    assert sum(map(len, kept)) <= corpus.MOST_BYTES
    assert TARGETS[name].modules


def test_no_corpus_is_left_without_its_target() -> None:
    assert {path.stem for path in corpus.FOLDER.glob("*")} == set(TARGETS)
    assert sum(path.stat().st_size for path in corpus.FOLDER.glob("*")) < 1 << 20


def test_every_module_that_decodes_foreign_bytes_has_a_target() -> None:
    covered = {module for target in TARGETS.values() for module in target.modules}
    decoding = set(decoding_modules())
    assert decoding - covered - set(NOT_PARSERS) == set(), "add a target in tests/fuzz/targets, or the reason in NOT_PARSERS"
    assert set(NOT_PARSERS) - decoding == set(), "these decode nothing any more"
    assert set(NOT_PARSERS) & covered == set()
    assert [module for module in covered if not (ROOT / (module.replace(".", "/") + ".py")).exists()] == []


def test_a_new_parser_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "collectors").mkdir()
    (tmp_path / "collectors/new.py").write_text("import struct\ndef parse(data):\n    return struct.unpack_from('=I', data)\n")
    (tmp_path / "collectors/pure.py").write_text("def f():\n    return 1\n")
    assert list(decoding_modules(tmp_path)) == ["collectors.new"]


def _fails(data: bytes) -> None:
    if b"x" in data:
        raise KeyError(data)


def _is_quadratic(data: bytes) -> int:
    return sum(data.count(data[at : at + 1]) for at in range(len(data)))


_kept: list[bytearray] = []


def _takes_memory(data: bytes) -> None:
    _kept.append(bytearray(b"\1") * (len(data) << 10))


def _never_ends(data: bytes) -> None:
    while data:
        pass


FAULTY = {
    "exception": (_fails, b"ax"),
    "slow": (_is_quadratic, b"ab\n"),
    "memory": (_takes_memory, b"a"),
    "slow for ever": (_never_ends, b"a"),
}


@pytest.mark.parametrize("kind", FAULTY)
def test_what_is_wrong_is_found(kind: str) -> None:
    run, data = FAULTY[kind]
    target = Target("x", (), run, list, seconds=0.02)
    find = next(find for longer in (data, *stretched(data, 1 << 18)) if (find := execute(target, longer)) is not None)
    _kept.clear()
    assert kind.startswith(find.kind)
    assert find.place


def test_what_a_parser_may_raise_is_no_find() -> None:
    assert execute(Target("x", (), _fails, list, allowed=(KeyError,)), b"x") is None


def test_a_minimised_corpus_keeps_what_reaches_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    target = TARGETS["network.netlink"]
    whole = next(iter(target.seeds()))
    found = corpus.minimise(target, [b"", b"a", b"b", whole, whole + b"a"])
    assert found.kept == [b"", whole] or found.kept == [b"", whole, whole + b"a"]
    assert 0 < found.reached <= found.lines
    monkeypatch.setattr(corpus, "FOLDER", tmp_path)
    corpus.save("x", [b"bb", b"a", b"bb"])
    assert corpus.load("x") == [b"a", b"bb"]

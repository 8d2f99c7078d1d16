"""Every slot of every collector, from a real state file of it (tests/fixtures/state) that is damaged: only the bad record is dropped."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pytest

from collectors.model import CollectorContext, Level, Report, Unavailable, Verdict
from collectors.registry import COLLECTORS
from collectors.state import VERSION, State, decode, encode
from daemon.board import Board
from tests.kit.slots import Kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.fault(155)

T = TypeVar("T")

FILES = Path(__file__).parents[1] / "fixtures/state"
NAMES = ["health", *COLLECTORS]
SETTINGS: dict[str, dict[str, Any]] = {  # that a collector needs, or that keep it from reading this machine's own logs
    "probe": {"targets": ("127.0.0.1:1",)},
    "logs": {"kmsg": "off", "journal": "off", "files": ("/nonexistent/syslog",)},
}
HEADER = len('{"version":1')
VALUES = [  # as JSON
    *("1" + "0" * 400, "9" * 5000, "NaN", "Infinity", "-Infinity", "1e999", "-1", "3", "4000000001", "1.5", "99999999999999999999"),
    *("null", "true", '""', '"\\ud800"', '"a\\u0000b"', "[]", "{}", "[" * 900 + "]" * 900, '{"a":1,"a":2}', '"' + "x" * 9000 + '"'),
]


class Slot(Kept):
    """A slot that keeps the schema it was asked for."""

    schema: Any = None

    def load(self, schema: type[T]) -> T:
        self.schema = schema
        return super().load(schema)


def run(name: str, slot: Slot, cache: Path) -> None:
    """Load the state, run twice, and save."""
    if name == "health":
        board = Board(slot)
        for level in (Level.CRITICAL, Level.HEALTHY):
            board.publish(Report("nic", 0.0, (Verdict("tcp_probe", "127.0.0.1:1", level),)))
            assert list(board.findings()) or not level
        board.save()
        return
    settings = COLLECTORS[name].Settings(**SETTINGS.get(name, {}))
    collector = COLLECTORS[name](settings, CollectorContext(slot=slot, cache=cache))
    try:
        for _ in range(2):
            reading = collector.read()
            list(collector.judge([reading], settings))
            list(collector.measure(reading, settings))
            list(collector.show([reading], settings))
    except Unavailable:
        assert name == "path_mtu"  # which needs a target beyond this host
    finally:
        collector.close()


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """Return the schema of each slot; None for a collector that has no state."""
    found = {}
    for name in NAMES:
        run(name, slot := Slot(), tmp_path_factory.getbasetemp())
        found[name] = slot.schema
    return found


def records(state: Any) -> Counter[str]:
    """Return the records of a state, with the name of their field and their key."""
    if not isinstance(state, State):
        return Counter(repr(row) for row in state)
    rows = []
    for name in state.__struct_fields__:
        value = getattr(state, name)
        if type(value) is dict:
            rows += [f"{name} {key} {item!r}" for key, item in value.items()]
        else:
            rows += [f"{name} {item!r}" for item in (value if type(value) in {tuple, list} else [value])]
    return Counter(rows)


def damaged(data: bytes) -> Iterator[tuple[str, int, bytes]]:
    dice = random.Random(155)  # noqa: S311
    for at, byte in enumerate(data):
        yield "flipped", at, data[:at] + bytes([byte ^ 1 << dice.randrange(8)]) + data[at + 1 :]
        yield dice.choice([("removed", at, data[:at] + data[at + 1 :]), ("doubled", at, data[: at + 1] + data[at:])])


@pytest.mark.parametrize("name", NAMES)
def test_each_slot_has_a_state_file_of_a_real_run(schemas: Mapping[str, Any], name: str) -> None:
    file, schema = FILES / f"{name}.json", schemas[name]
    assert file.exists() == (schema is not None), "copy one of /var/lib/vitald to tests/fixtures/state"
    if schema is not None:
        found = decode(file.read_bytes(), schema)
        assert (found.dropped, encode(found.value)) == (0, file.read_bytes())
        empty = [field for field in getattr(schema, "__struct_fields__", ()) if not getattr(found.value, field)]
        assert set(empty) <= {"hugepages"}, "each field needs a record"


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_byte_costs_only_its_record(schemas: Mapping[str, Any], name: str) -> None:
    if (schema := schemas[name]) is None:
        return
    data = (FILES / f"{name}.json").read_bytes()
    before = records(decode(data, schema).value)
    for kind, at, text in damaged(data):
        try:
            found = decode(text, schema)
        except ValueError:
            assert at <= HEADER, (kind, at, data[at - 20 : at + 20])  # another version
            continue
        after = records(found.value)
        lost, other = (before - after).total(), (after - before).total()
        assert lost <= 1, (kind, at, data[at - 20 : at + 20], before - after)
        assert other <= 1, (kind, at, after - before)
        assert found.dropped >= lost - other, (kind, at, found.error)  # a damaged value may be another that fits
        assert at % 8 or decode(encode(found.value), schema) == (found.value, 0, "")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_cut_or_doubled_keeps_what_is_there(schemas: Mapping[str, Any], name: str) -> None:
    if (schema := schemas[name]) is None:
        return
    data = (FILES / f"{name}.json").read_bytes()
    before, kept = records(decode(data, schema).value), 0
    for end in [*range(data.index(b"\n"), len(data) - 1, 3), len(data) - 2]:
        try:
            found = decode(data[:end], schema)
        except ValueError:
            assert not kept
            continue
        assert found.dropped >= 1
        now = (before & records(found.value)).total()
        assert now >= kept - 1, data[end - 40 : end]  # "1.0" is "1" before, and "1." between
        kept = max(kept, now)
    assert kept == before.total()
    twice = decode(data * 2, schema)
    assert (records(twice.value), twice.dropped >= 1) == (before, True)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list) and value:
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))
    else:
        yield path


def replaced(value: Any, texts: Mapping[tuple[Any, ...], str], path: tuple[Any, ...] = ()) -> str:
    """Return a value as JSON in which these leaves have other texts."""
    if path in texts:
        return texts[path]
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{replaced(item, texts, (*path, key))}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(replaced(item, texts, (*path, index)) for index, item in enumerate(value)) + "]"
    return json.dumps(value)


def document(value: Any, texts: Mapping[tuple[Any, ...], str]) -> bytes:
    return b'{"version":%d,"value":%s}' % (VERSION, replaced(value, texts).encode())


@pytest.mark.parametrize("name", NAMES)
def test_a_value_out_of_range_costs_only_its_record(schemas: Mapping[str, Any], name: str) -> None:
    if (schema := schemas[name]) is None:
        return
    data = (FILES / f"{name}.json").read_bytes()
    value, before = json.loads(data)["value"], records(decode(data, schema).value)
    dice = random.Random(name)  # noqa: S311
    for path in leaves(value):
        for text in dice.sample(VALUES, 5):
            found = decode(document(value, {path: text}), schema)
            lost, other = before - records(found.value), records(found.value) - before
            assert lost.total() <= 1, (path, text[:20], lost)
            assert found.dropped or other or not lost, (path, text[:20])


@pytest.mark.parametrize("name", NAMES)
def test_no_damage_ends_a_start_or_fails_a_run(schemas: Mapping[str, Any], name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Many values at a time, those that fit the schema too; what is saved then is whole."""
    if (schema := schemas[name]) is None:
        return
    text, cache = (FILES / f"{name}.json").read_text(), tmp_path_factory.getbasetemp()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()  # so that positions and times are those of this boot
    value = json.loads(text.replace(json.loads((FILES / "logs.json").read_text())["value"]["boot"], boot))
    dice = random.Random(name)  # noqa: S311
    paths = list(leaves(value["value"]))
    plausible = [*VALUES, "0", "1", "2", "1e9", "4e9", "9007199254740992", '"/"', '"eth0"', '"[*"']
    for share in [0.0, 0.02, 0.1, 0.1, 0.3, 0.3]:
        chosen = {path: dice.choice(plausible) for path in paths if dice.random() < share}
        slot = Slot(document(value["value"], chosen))
        run(name, slot, cache)
        assert slot.data is not None
        assert decode(slot.data, schema).dropped == 0 or slot.dropped, chosen
        again = Slot(slot.data)
        run(name, again, cache)


def test_a_file_without_end_of_values_is_refused_before_it_is_parsed() -> None:
    for data in (b"[" * 600_000, b"\n" * 600_000, b'{"version":1,"value":[' + b"{}," * 300_000, b"[],[]," * 200_000):
        with pytest.raises(ValueError, match="more than"):
            decode(data, list[str])


class Row(State, frozen=True):
    rows: tuple[str, ...] = ()
    names: dict[str, int] = msgspec.field(default_factory=dict)


def test_a_deep_value_in_one_line_costs_that_line() -> None:
    data = encode(Row(rows=("a", "b"), names={"x": 1}))
    found = decode(data.replace(b'"a"', b"[" * 100_000), Row)
    assert (found.value, found.dropped) == (Row(rows=("b",), names={"x": 1}), 1)


def test_a_repeated_key_and_an_unknown_field_are_counted() -> None:
    found = decode(b'{"version":1,"value":{"rows":["a"],"names":{"x":1,"x":2},"more":3}}', Row)
    assert (found.value, found.dropped) == (Row(rows=("a",), names={"x": 2}), 2)

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.model import BadInput
from collectors.probe.targets import file_sd, target_files
from collectors.probe.targets.file_sd import Group
from collectors.probe.targets.target_files import TargetFiles

if TYPE_CHECKING:
    from pathlib import Path

GOOD = '[{"targets": ["10.0.0.5:22", "db1.internal:5432"], "labels": {"zone": "a"}}]'


def found(files: TargetFiles[tuple[Group, ...]]) -> list[str]:
    return [target for groups in files.kept() for group in groups for target in group.targets]


def test_json_and_yaml_are_equal(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(GOOD)
    (tmp_path / "a.yml").write_text("- targets: [10.0.0.5:22, 'db1.internal:5432']\n  labels: {zone: a}\n")
    expected = (Group(("10.0.0.5:22", "db1.internal:5432"), {"zone": "a"}),)
    assert file_sd.read(tmp_path / "a.json") == file_sd.read(tmp_path / "a.yml") == expected


def test_yaml_scalars_are_strings(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- targets: [no:22]\n  labels: {zone: 1, on: 2001-01-01}\n- targets:\n")
    assert file_sd.read(tmp_path / "a.yaml") == (Group(("no:22",), {"zone": "1", "on": "2001-01-01"}), Group((), {}))


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("- targets: !!python/object/apply:os.system ['touch /tmp/never']\n")
    with pytest.raises(BadInput):
        file_sd.read(tmp_path / "a.yml")


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.json", "", "is empty"),
        ("a.json", GOOD[:40], "is not JSON: line 1 column"),
        ("a.json", '{"targets": []}', "a list of groups is expected, not a mapping"),
        ("a.json", "[1]", "group 1: a group like"),
        ("a.json", '[{"targets": []}, {"target": []}]', "group 2: unknown key 'target'"),
        ("a.json", '[{"targets": "a:1"}]', "group 1: targets: a list of strings"),
        ("a.json", '[{"targets": [1]}]', "group 1: targets: a list of strings"),
        ("a.json", '[{"targets": ["a"]}]', "group 1: 'a' is not a target"),
        ("a.json", '[{"labels": {"a": 1}}]', "group 1: labels: names and values must be strings"),
        ("a.json", "[" * 200_000, "is not JSON"),
        ("a.json", "[" + "1" * 10_000 + "]", "is not JSON"),
        ("a.yml", "- targets: [a:1\n", "is not YAML: line 2"),
        ("a.yml", "- targets: [a:1]\n\x07", "is not YAML"),
        ("a.yml", "[" * 5_000, "is not YAML"),
        ("a.txt", GOOD, "its name must end in"),
    ],
)
def test_a_broken_file_is_refused_with_place_and_reason(tmp_path: Path, name: str, text: str, why: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=why) as refusal:
        file_sd.read(tmp_path / name)
    assert "\n" not in str(refusal.value)


def test_yaml_aliases_do_not_make_an_endless_list(tmp_path: Path) -> None:
    group = "- &g\n  targets: [" + ", ".join(["a:1"] * 1000) + "]\n"
    (tmp_path / "bomb.yml").write_text(group + "- *g\n" * 1000)
    with pytest.raises(BadInput, match="more than 100000 in one file"):
        file_sd.read(tmp_path / "bomb.yml")


def test_a_fifo_a_folder_and_a_device_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    for name in ("fifo", "folder", "zero", "gone"):
        with pytest.raises(BadInput):
            file_sd.read(tmp_path / f"{name}.json")


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(GOOD)
    files = TargetFiles([f"{tmp_path}/*.json"], tuple)
    assert files.refresh()
    assert not files.refresh()
    replaced = tmp_path / "new"
    replaced.write_text(GOOD.replace("10.0.0.5", "10.0.0.6"))
    replaced.rename(path)
    assert files.refresh()
    assert found(files) == ["10.0.0.6:22", "db1.internal:5432"]
    assert files.valid() == {str(path): True}


def test_a_broken_file_keeps_its_old_targets_is_seen_and_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, other = tmp_path / "a.json", tmp_path / "b.json"
    path.write_text(GOOD)
    other.write_text('[{"targets": ["c:3"]}]')
    files = TargetFiles([f"{tmp_path}/*.json"], tuple)
    files.refresh()
    path.write_text(GOOD[:50])
    caplog.set_level(logging.INFO)
    assert not files.refresh()
    assert not files.refresh()
    assert found(files) == ["10.0.0.5:22", "db1.internal:5432", "c:3"]
    assert files.valid() == {str(path): False, str(other): True}
    assert len(caplog.messages) == 1
    assert str(path) in caplog.messages[0]
    assert "keeping its last targets" in caplog.messages[0]
    path.write_text("[]")
    assert files.refresh()
    assert found(files) == ["c:3"]
    assert files.valid()[str(path)]
    assert "valid again" in caplog.messages[-1]


def test_a_removed_file_removes_its_targets(tmp_path: Path) -> None:
    path, plain = tmp_path / "a.json", tmp_path / "plain.yml"
    path.write_text(GOOD)
    plain.write_text("- targets: ['c:3']\n")
    files = TargetFiles([f"{tmp_path}/*.json", str(plain)], tuple)
    files.refresh()
    path.unlink()
    assert files.refresh()
    assert found(files) == ["c:3"]
    plain.unlink()
    assert files.refresh()
    assert found(files) == []
    assert files.valid() == {str(plain): False}  # it is named in the settings, so that it is missing is worth a word
    assert not files.refresh()


def test_problems_lists_each_bad_file(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text(GOOD)
    (tmp_path / "bad.json").write_text("{")
    lines = list(target_files.problems([f"{tmp_path}/*.json", f"{tmp_path}/missing.yml"]))
    assert [line.split(":")[0] for line in lines] == [f"{tmp_path}/bad.json", f"{tmp_path}/missing.yml"]
    assert "No such file" in lines[1]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["a:1", "10.0.0.1:2", "targets", "labels"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | st.sampled_from(["targets", "labels"]), inner, max_size=3)
    ),
    max_leaves=20,
)


@pytest.mark.fault(55)
@given(values)
def test_any_document_is_read_or_refused(document: Any) -> None:
    try:
        groups = tuple(file_sd.check_groups(document))
    except BadInput:
        return
    assert all(isinstance(target, str) for group in groups for target in group.targets)


@pytest.mark.fault(55)
@given(
    st.binary(max_size=200)
    | st.text(st.characters(codec="utf-8"), max_size=200).map(str.encode)
    | values.map(lambda v: json.dumps(v).encode()),
    st.sampled_from(["json", "yml"]),
)
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"fuzz.{suffix}"
    path.write_bytes(data)
    try:
        file_sd.read(path)
    except BadInput as bad:
        assert "\n" not in str(bad)  # noqa: PT017 — both ends are right, an escaping exception is not

"""systemd/vitald.toml: lists every key with its default behind a `#`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec

from collectors.settings import Duration
from daemon import config as settings

EXAMPLE = Path(__file__).parents[2] / "systemd/vitald.toml"


def uncommented() -> str:
    """Return the file with every key (`#interval = …`) uncommented; prose has a space after the `#`."""
    return re.sub(r"^#(?=[a-z_]+ = )", "", EXAMPLE.read_text(), flags=re.MULTILINE)


def test_as_it_is_shipped_it_sets_nothing() -> None:
    assert all(section == {} for section in tomllib.loads(EXAMPLE.read_text()).values())


def test_with_every_key_uncommented_it_equals_the_defaults() -> None:
    assert settings.parse(uncommented(), str(EXAMPLE)) == settings.parse("", "nothing")


def test_it_names_every_section_and_every_key() -> None:
    expected = {section.name: settings.keys(section.type) for section in msgspec.structs.fields(settings.root())}
    found = tomllib.loads(uncommented())
    assert {name: sorted(keys) for name, keys in found.items()} == {name: sorted(keys) for name, keys in expected.items()}


def test_its_durations_are_written_as_durations() -> None:
    intervals = [section["interval"] for section in tomllib.loads(uncommented()).values() if "interval" in section]
    assert intervals
    assert all(Duration.parse(text) for text in intervals)

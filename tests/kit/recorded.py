"""Results that were reviewed once and are kept in a file: a change of any of them is seen in the diff."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RECORD = "VITALD_TESTS_RECORD"


def assert_as_recorded(path: Path, results: Iterable[Any]) -> None:
    """Assert that the results are those of the file, a line each; with VITALD_TESTS_RECORD=1 the file is written instead."""
    lines = (json.dumps(_plain(result), ensure_ascii=False) for result in results)
    if os.environ.get(RECORD):
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
        return
    expected = path.read_text().splitlines()
    number = 0
    for number, (line, known) in enumerate(zip(lines, [*expected, None], strict=False), 1):
        assert line == known, f"{path.name}:{number}; if the change is meant: {RECORD}=1 pytest, and review the diff"
    assert number == len(expected)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        plain: Any = float(f"{value:.9g}")  # the last digits depend on the C library
    elif isinstance(value, Enum):
        plain = value.name
    elif is_dataclass(value) and not isinstance(value, type):
        plain = _plain(asdict(value))
    elif isinstance(value, Mapping):
        plain = {str(key): _plain(inner) for key, inner in value.items()}
    elif isinstance(value, (list, tuple)):
        plain = [_plain(inner) for inner in value]
    else:
        plain = value
    return plain

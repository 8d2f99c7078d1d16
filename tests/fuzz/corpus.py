"""Corpora: for each target the inputs that reach most of it in the fewest bytes, one a line, in base 85 (RFC 1924's letters)."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.fuzz.execution import execute
from tests.fuzz.target import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType, FrameType
    from typing import Any

    from tests.fuzz.target import Target

FOLDER = Path(__file__).parent / "corpus"
MOST_BYTES = 16 << 10  # of one target's inputs
_ENTRY = 0  # the step before a function's first line


def load(name: str) -> list[bytes]:
    """Return the kept inputs of a target, none where there are none yet."""
    path = FOLDER / f"{name}.b85"
    return [base64.b85decode(line) for line in path.read_text().splitlines()] if path.exists() else []


def save(name: str, inputs: Iterable[bytes]) -> None:
    """Replace the kept inputs of a target."""
    rows = [base64.b85encode(data).decode() for data in sorted(set(inputs), key=lambda data: (len(data), data)) if data]
    (FOLDER / f"{name}.b85").write_text("".join(f"{row}\n" for row in rows))


class Coverage(NamedTuple):
    """Inputs that are worth keeping, and how many lines they reach of the functions in the covered modules that they enter."""

    kept: list[bytes]
    reached: int
    lines: int


def minimise(target: Target, inputs: Iterable[bytes]) -> Coverage:
    """Keep, shortest first, each input that reaches a branch which no shorter one does; at most MOST_BYTES of them."""
    wanted = {str(ROOT / (module.replace(".", "/") + ".py")) for module in target.modules}
    seen: set[tuple[str, int, int]] = set()
    kept: list[bytes] = []
    size = 0
    for data in sorted(set(inputs), key=lambda data: (len(data), data)):
        new = _branches(target, data, wanted) - seen
        if new and size + len(data) <= MOST_BYTES:
            seen |= new
            kept.append(data)
            size += len(data)
    entered = {(path, line) for path, before, line in seen if before == _ENTRY}
    lines = {(path, line) for path in wanted for line in _lines(path, {first for name, first in entered if name == path})}
    return Coverage(kept, len({(path, line) for path, _, line in seen} & lines), len(lines))


def _branches(target: Target, data: bytes, wanted: set[str]) -> set[tuple[str, int, int]]:
    """Return the steps from line to line in the covered modules that an input takes."""
    steps: set[tuple[str, int, int]] = set()

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        path = frame.f_code.co_filename
        if event != "call" or path not in wanted:
            return None
        steps.add((path, _ENTRY, frame.f_code.co_firstlineno))
        last = frame.f_lineno

        def step(inner: FrameType, event: str, _argument: Any) -> Any:
            nonlocal last
            if event == "line":
                steps.add((path, last, inner.f_lineno))
                last = inner.f_lineno
            return step

        return step

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        execute(target, data, seconds=60.0)
    finally:
        sys.settrace(before)
    return steps


def _lines(path: str, entered: set[int]) -> set[int]:
    """Return the lines of the functions that begin at one of these lines."""
    found: set[int] = set()

    def walk(code: CodeType, *, inside: bool) -> None:
        if inside and code.co_firstlineno in entered:
            found.update(line for _, _, line in code.co_lines() if line is not None and line != code.co_firstlineno)
        for constant in code.co_consts:
            if hasattr(constant, "co_lines"):
                walk(constant, inside=inside or bool(constant.co_flags & 2))  # CO_NEWLOCALS: a function, not a class

    walk(compile(Path(path).read_text(), path, "exec"), inside=False)
    return found

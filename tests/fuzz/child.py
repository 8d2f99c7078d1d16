"""The two programs that run a target, each in a process of its own: `fuzz NAME SECONDS FOLDER` and `measure NAME FOLDER`.

`fuzz` mutates by coverage (atheris, which is libFuzzer) and never stops at a find; `measure` stretches the inputs and minimises them.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz import corpus
from tests.fuzz.execution import Find, execute, stretched

if TYPE_CHECKING:
    from tests.fuzz.target import Target

_ADDRESS_SPACE = 4 << 30  # bytes: a parser that wants more fails, and the machine does not
_INSTRUMENTED = ["collectors", "exporters", "daemon"]


def load(name: str) -> Target:
    """Import a target: `logs.kmsg` is in targets/logs.py."""
    module = importlib.import_module(f"tests.fuzz.targets.{name.partition('.')[0]}")
    found: Target = next(target for target in module.TARGETS if target.name == name)
    return found


class Finds:
    """Finds of a run, each place once, written to FOLDER/finds.jsonl at once with their input beside it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "finds.jsonl"
        self._seen = {(row["kind"], row["place"]) for row in read(folder)}

    def add(self, found: Find | None, data: bytes) -> None:
        """Write a find, unless there is one of its kind at its place."""
        if found is not None and (found.kind, found.place) not in self._seen:
            self._seen.add((found.kind, found.place))
            with self._file.open("a") as file:
                file.write(json.dumps({**found._asdict(), "input": data.hex()}) + "\n")


def read(folder: Path) -> list[dict[str, str]]:
    """Return what was found."""
    path = folder / "finds.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def fuzz(name: str, seconds: float, folder: Path) -> None:
    """Mutate until the time is over; new inputs are in FOLDER/inputs."""
    import atheris  # noqa: PLC0415 — `measure` and the tests do without

    with atheris.instrument_imports(include=_INSTRUMENTED):
        target = load(name)
    finds = Finds(folder)
    dictionary = folder / "words"
    words = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
    dictionary.write_text("".join(f'"{word}"\n' for word in words))

    def once(data: bytes) -> None:
        finds.add(execute(target, data), data)

    options = [f"-dict={dictionary}"] if target.words else []  # libFuzzer refuses an empty one
    options += [f"-max_total_time={seconds:.0f}", f"-max_len={target.length}", "-print_final_stats=1", "-rss_limit_mb=0", "-timeout=60"]
    atheris.Setup([sys.argv[0], *options, str(folder / "inputs")], once)
    atheris.Fuzz()


def measure(name: str, folder: Path) -> None:
    """Stretch every input within what the reader lets through, and write the minimised ones and their coverage."""
    target, finds = load(name), Finds(folder)
    inputs = [path.read_bytes() for path in (folder / "inputs").iterdir()]
    found = corpus.minimise(target, inputs)
    (folder / "coverage.json").write_text(
        json.dumps({"kept": [data.hex() for data in found.kept], "reached": found.reached, "lines": found.lines, "stretched": 0})
    )
    count = 0
    for data in found.kept:
        for longer in stretched(data, target.most):
            finds.add(execute(target, longer), longer)
            count += 1
    row = {"kept": [data.hex() for data in found.kept], "reached": found.reached, "lines": found.lines, "stretched": count}
    (folder / "coverage.json").write_text(json.dumps(row))


def main() -> int:
    """Run one of the two."""
    sys.setrecursionlimit(1000)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    if sys.argv[1] == "fuzz":
        fuzz(sys.argv[2], float(sys.argv[3]), Path(sys.argv[4]))
    else:
        measure(sys.argv[2], Path(sys.argv[3]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`make faults`: number of tests for each fault of docs/faults.md."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
FAULTS = ROOT / "docs" / "faults.md"


def listed() -> list[int]:
    """Return the numbers of docs/faults.md in ascending order; several entries may share a line."""
    return sorted(int(number) for number in re.findall(r"(?:^|\s)(\d{1,3})\. ", FAULTS.read_text(), flags=re.MULTILINE))


def covered() -> dict[int, list[str]]:
    """Return the tests of each fault, by its number: `file::test`."""
    tests: dict[int, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        marks: list[int] = []
        of_module: list[int] = []
        for line in path.read_text().splitlines():
            if line.startswith("pytestmark"):
                of_module = [int(number) for number in re.findall(r"mark\.fault\((\d+)\)", line)]
            elif match := re.match(r"\s*@pytest\.mark\.fault\((\d+)\)", line):
                marks.append(int(match[1]))
            elif match := re.match(r"\s*(?:async )?(?:def (test_\w+)|class Test\w+)", line):
                for number in marks + of_module:
                    tests[number].append(f"{path.relative_to(ROOT)}::{match[1] or 'class'}")
                marks = []
    return tests


def main() -> int:
    """Print a line for each fault: number of tests, and the first of them."""
    tests, numbers = covered(), listed()
    for number in numbers:
        names = tests.get(number, [])
        sys.stdout.write(f"{number:3}  {len(names):3}  {names[0] if names else '-'}\n")
    sys.stdout.write(f"{sum(number in tests for number in numbers)} of {len(numbers)} faults have a test\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What malloc is told, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HOLES = """
from daemon.allocator import give_back, one_arena

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

one_arena()
blocks = [bytes(2000) for _ in range(20_000)]
kept = blocks[::50]  # the last of them holds the heap's end where it is
del blocks
freed = resident()
give_back()
print(freed - resident())
"""


def test_memory_between_what_is_in_use_goes_back_to_the_kernel() -> None:
    command, here = [sys.executable, "-c", HOLES], Path(__file__).parents[2]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=here)
    assert int(said.stdout) > 10 << 20

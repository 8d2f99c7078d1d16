"""malloc settings, in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HOLES = """
from daemon.process import limit_arenas, trim_heap

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

limit_arenas()
blocks = [bytes(2000) for _ in range(20_000)]
kept = blocks[::50]  # the last of them holds the heap's end where it is
del blocks
freed = resident()
trim_heap()
print(freed - resident())
"""


def test_freed_memory_between_blocks_in_use_is_returned_to_the_kernel() -> None:
    command, here = [sys.executable, "-c", HOLES], Path(__file__).parents[2]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=here)
    assert int(output.stdout) > 10 << 20

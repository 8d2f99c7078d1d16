"""Each command of a remediation of `[memory]`, run in the state it is meant for: it names the process, the cache or the option."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from collectors.memory.judge import HIDEPID_REMEDIATION, NEARLY_EXHAUSTED, REMEDIATIONS, RESTART
from tests.kit.leaks import leaking

if TYPE_CHECKING:
    from collections.abc import Iterator

HOLD = """
import sys, threading, time
kept = bytearray(b"x" * (int(sys.argv[1]) << 20))
for _ in range(int(sys.argv[2])):
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


def run(remediation: str) -> list[str]:
    """Run the command that a remediation begins with, as a person pastes it into a shell; return what it prints."""
    command = remediation.split("; ", maxsplit=1)[0]
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode in {0, 141}, done.stderr  # 141: head has closed the pipe
    assert not done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def large() -> Iterator[int]:
    """The pid of a process with 900 MB and 1,000 threads."""
    with subprocess.Popen([sys.executable, "-ISc", HOLD, "900", "1000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.kill()


@pytest.mark.fault(148)
@pytest.mark.needs("ps", "grep", "sort")
def test_the_process_with_most_memory_threads_or_page_tables_is_printed(large: int) -> None:
    assert any(str(large) in line.split() for line in run(NEARLY_EXHAUSTED))
    assert any(str(large) in line.split() and int(line.split()[0]) > 1000 for line in run(REMEDIATIONS["kernel_stack"]))
    assert any(line.startswith(f"/proc/{large}/status") for line in run(REMEDIATIONS["page_tables"]))
    header, row = run(RESTART.format(large))
    assert header.split()[:3] == ["PID", "UNIT", "RSS"]
    assert row.split()[0] == str(large)


@pytest.mark.fault(148)
@pytest.mark.root
@pytest.mark.needs("ss")
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_the_process_that_does_not_read_is_printed_with_its_buffers(kind: str) -> None:
    with leaking(kind, 100) as leaker:
        lines = run(REMEDIATIONS["unaccounted"])
    text = "\n".join(lines)
    assert f"pid={leaker.pid}," in text
    assert "skmem:(r" in text


@pytest.mark.fault(148)
@pytest.mark.root
@pytest.mark.needs("slabtop", "findmnt")
def test_the_caches_are_printed_largest_first_and_the_options_of_proc() -> None:
    lines = run(REMEDIATIONS["slab_unreclaimable"])
    (columns,) = (number for number, line in enumerate(lines) if "CACHE SIZE" in line)
    sizes = [int(line.split()[6].removesuffix("K")) for line in lines[columns + 1 :]]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) > 5
    assert run(HIDEPID_REMEDIATION)[0].strip() == "OPTIONS"

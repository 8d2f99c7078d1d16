from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.kit.program import BenchError, Program, free_port

if TYPE_CHECKING:
    from pathlib import Path

BURN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
SERVE = "import socket, sys, time\ns = socket.create_server(('127.0.0.1', int(sys.argv[1])))\ntime.sleep(60)\n"


def python(tmp_path: Path, code: str, *arguments: str) -> Program:
    return Program("python", [sys.executable, "-c", code, *arguments], tmp_path)


def test_cpu_of_threads_and_of_children_dead_and_alive_is_counted(tmp_path: Path) -> None:
    port = free_port()
    code = (
        f"import subprocess, sys, threading\nburn = {BURN!r}\nsubprocess.run([sys.executable, '-c', burn], check=True)\n"
        "t = threading.Thread(target=exec, args=(burn,)); t.start(); t.join()\n"
        f"child = subprocess.Popen([sys.executable, '-c', burn + {SERVE!r}, sys.argv[1]])\nchild.wait()\n"
    )
    with python(tmp_path, code, str(port)) as program:
        program.wait_for(port)
        assert program.cpu_seconds() >= 0.85  # three times 0.3, less what a clock tick hides
        memory = program.memory()
        assert memory.rss >= memory.pss > 2_000_000


def test_a_program_that_ends_early_says_its_last_words(tmp_path: Path) -> None:
    with (
        python(tmp_path, "raise SystemExit('no such flag')") as program,
        pytest.raises(BenchError, match="python ended with status 1: no such flag"),
    ):
        program.wait_for(free_port())


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no-such-program is not installed"):
        Program("x", ["no-such-program"], tmp_path)


def test_a_program_is_gone_when_its_block_ends(tmp_path: Path) -> None:
    with python(tmp_path, SERVE, str(port := free_port())) as program:
        program.wait_for(port)
    with pytest.raises(BenchError, match="ended with status -15"):
        program.check()

"""Network namespaces of a bench's own: made, worked in, and gone at its end. Needs root and iproute2."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.kit.program import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENVIRONMENT = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
_NUMBERS = itertools.count()


@contextmanager
def namespace() -> Iterator[str]:
    """Create a namespace and return its name; it is deleted with everything in it."""
    if os.geteuid():
        raise BenchError("namespaces need root")
    name = f"vdbench{os.getpid()}-{next(_NUMBERS)}"
    ip("netns", "add", name)
    try:
        yield name
    finally:
        ip("netns", "del", name)


def ip(*words: str, text: str = "") -> None:
    """Run it from iproute2; `text` is its input."""
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True, input=text, env=ENVIRONMENT)
    if done.returncode:
        raise BenchError(f"ip {' '.join(words)}: {' '.join(done.stderr.split())[-300:]}")


def inside(name: str, *words: str) -> list[str]:
    """Return the command that runs a program in a namespace; `ip` executes the program, so the process id is the program's."""
    return ["ip", "netns", "exec", name, *words]


def run_module(name: str, module: str, *words: str) -> Any:
    """Run a Python module of ours in a namespace."""
    argv = inside(name, sys.executable, "-m", module, *words)
    done = subprocess.run(argv, check=False, capture_output=True, text=True, env=ENVIRONMENT, cwd=Path(__file__).parents[2])
    if done.returncode:
        raise BenchError(f"{module} {words[0]}: {done.stderr[-500:]}")
    return json.loads(done.stdout)


def run(*commands: str) -> str:
    """Run commands where we are, one after the other; return what the last one printed."""
    printed = ""
    for command in commands:
        printed = subprocess.run(command.split(), check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout
    return printed


def wait(right: Callable[[], bool], most: float = 30.0) -> float:
    """Poll every 10 ms until the condition holds or the time is over; return the seconds that took."""
    began = time.monotonic()
    while not right():
        if time.monotonic() - began > most:
            return most
        time.sleep(0.01)
    return time.monotonic() - began

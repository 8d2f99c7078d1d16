"""`vitald probe` as people run it: here, or with a terminal."""

from __future__ import annotations

import argparse
import contextlib
import os
import pty
import select
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.cli.probe import command as probe_command

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 30.0  # seconds; the machine is shared
ROOT = Path(__file__).parents[2]
PROGRAM = """
import argparse, sys
from daemon.cli.probe import command as probe_command
parser = argparse.ArgumentParser(prog="vitald probe")
probe_command.add_arguments(parser)
sys.exit(probe_command.run(parser.parse_args()))
"""


def vitald_probe(*words: str) -> int:
    parser = argparse.ArgumentParser()
    probe_command.add_arguments(parser)
    return probe_command.run(parser.parse_args(words))


def down() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@contextlib.contextmanager
def interruptible(command: list[str], **popen: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a program that SIGINT interrupts, and kill it at the end or after a limit: no wait for it takes longer.

    A background job of a script starts with SIGINT ignored, and so do all its children: Python then installs no handler.
    """
    with subprocess.Popen(["env", "--default-signal=INT", *command], cwd=ROOT, **popen) as process:
        limit = threading.Timer(2 * PATIENCE, process.kill)
        limit.start()
        try:
            yield process
        finally:
            limit.cancel()
            process.kill()


def on_a_terminal(command: list[str], *, until: tuple[bytes, ...]) -> bytes:
    """Run it with a terminal, press Ctrl-C once all of that was shown, and give everything that it showed."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
    with interruptible(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown, interrupted, limit = b"", False, time.monotonic() + PATIENCE
        with contextlib.suppress(OSError):  # EIO: the other end was closed
            while time.monotonic() < limit:
                if select.select([ours], [], [], 0.1)[0]:
                    shown += os.read(ours, 65536)
                if not interrupted and all(words in shown for words in until):
                    process.send_signal(signal.SIGINT)
                    interrupted = True
        os.close(ours)  # the program has ended by itself, or the caller's assertions fail
    return shown

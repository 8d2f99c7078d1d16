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
import time
from pathlib import Path

from daemon import probe_command

ROOT = Path(__file__).parents[2]
PROGRAM = """
import argparse, sys
from daemon import probe_command
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


def on_a_terminal(command: list[str], *, until: tuple[bytes, ...]) -> bytes:
    """Run it with a terminal, press Ctrl-C once all of that was shown, and give everything that it showed."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env=environment) as process:
        os.close(theirs)
        shown, interrupted, limit = b"", False, time.monotonic() + 30
        with contextlib.suppress(OSError):  # EIO: the other end was closed
            while time.monotonic() < limit:
                if select.select([ours], [], [], 0.1)[0]:
                    shown += os.read(ours, 65536)
                if not interrupted and all(words in shown for words in until):
                    process.send_signal(signal.SIGINT)
                    interrupted = True
        os.close(ours)
        process.kill()  # has ended by itself, or the caller's assertions fail
    return shown

"""Makes the pictures of README.md from what the commands really print: `.venv/bin/python docs/make_pictures.py`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
COLUMNS = 92


def picture(name: str, title: str, *command: str) -> None:
    """Run `vitald COMMAND` on a terminal of that width, and draw what it printed."""
    env = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)}
    done = subprocess.run([sys.executable, "-m", "daemon", *command], capture_output=True, text=True, check=False, env=env, cwd=HERE.parent)  # noqa: S603
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(f"$ {title}\n{done.stdout.rstrip()}"), soft_wrap=True)
        console.save_svg(str(HERE / name), title="vitald")


def main() -> None:
    """Probe one open port, one closed one and one whose accept queue is full, all on loopback."""
    with (
        socket.create_server(("127.0.0.1", 0)) as opened,
        socket.create_server(("127.0.0.1", 0), backlog=0) as full,
        socket.socket() as one,
        socket.socket() as two,
        tempfile.TemporaryDirectory() as folder,
    ):
        for client in (one, two):
            client.setblocking(False)  # noqa: FBT003 — its only argument
            client.connect_ex(full.getsockname())
        targets = [f"127.0.0.1:{server.getsockname()[1]}" for server in (opened, full)]
        config = Path(folder) / "vitald.toml"
        config.write_text(f'[probe]\ntargets = ["{targets[0]}", "{targets[1]}", "127.0.0.1:1"]\nfailures_until_critical = 1\n')
        picture("check.svg", "vitald check", "check", "--config.file", str(config))
        picture("probe.svg", f"vitald probe -c 20 -i 0.05 {targets[0]}", "probe", "-c", "20", "-i", "0.05", targets[0])


if __name__ == "__main__":
    main()

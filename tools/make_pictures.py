"""Write the pictures of README.md and docs from real output of the commands: `.venv/bin/python -m tools.make_pictures`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.kit.kernel_packages import MODULES, kernels_root

ROOT = Path(__file__).parents[1]
COLUMNS = 92
PROGRAM = """
import sys, time
now = time.time
time.time = lambda: now() + {ahead}
from daemon.cli.main import main
sys.exit(main())
"""


def picture(name: str, title: str, *command: str, ahead: float = 0.0) -> None:
    """Run `vitald COMMAND` on a terminal of COLUMNS columns, with a clock `ahead` seconds ahead, and write its output to docs/NAME."""
    env = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)}
    argv = [sys.executable, "-c", PROGRAM.format(ahead=ahead), *command]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=env, cwd=ROOT)
    with Path(os.devnull).open("w") as null:
        console = Console(record=True, width=COLUMNS, file=null, force_terminal=True)
        console.print(Text.from_ansi(f"$ {title}\n{done.stdout.rstrip()}"), soft_wrap=True)
        console.save_svg(str(ROOT / "docs" / name), title="vitald")


def interfaces(root: Path) -> None:
    """Write nic.svg: a recorded host with two Debian kernels, of which the newer one lacks the module of the NIC."""
    shutil.copytree(ROOT / "tests/collectors/nic/hosts/ixgbevf", root, symlinks=True)
    kernels = sorted((kernels_root() / "lib/modules").iterdir())
    for folder in kernels:
        for part in ("modules.dep", "modules.builtin", MODULES["ixgbevf"]):
            (root / "lib/modules" / folder.name / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / part, root / "lib/modules" / folder.name / part)
        (root / "boot").mkdir(exist_ok=True)
        (root / f"boot/vmlinuz-{folder.name}").touch()
    (root / "lib/modules" / kernels[-1].name / MODULES["ixgbevf"]).unlink()
    (root / "proc/sys/kernel/osrelease").write_text(kernels[0].name)
    config = root / "vitald.toml"
    config.write_text('[[nic.policy]]\ndriver = "ixgbevf"\nmin_version = "4.0"\n')
    roots = (f"--path.rootfs={root}", f"--path.sysfs={root}/sys", f"--path.procfs={root}/proc")
    only = ("--collector.disable-defaults", "--collector.nic")
    # An hour later: a missing module of a new kernel is only a warning for some minutes.
    picture(
        "nic.svg",
        "vitald check --collector.disable-defaults --collector.nic",
        "check",
        "--config.file",
        str(config),
        *roots,
        *only,
        ahead=3600.0,
    )


def main() -> None:
    """Write all pictures. Targets on loopback: an open port, a closed one, and one with a full accept queue."""
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
        interfaces(Path(folder) / "host")
        only = ("--collector.disable-defaults", "--collector.probe")  # the picture must not show this machine's processes
        picture("check.svg", f"vitald check {' '.join(only)}", "check", "--config.file", str(config), *only)
        picture("probe.svg", f"vitald probe -c 20 -i 0.05 {targets[0]}", "probe", "-c", "20", "-i", "0.05", targets[0])


if __name__ == "__main__":
    main()

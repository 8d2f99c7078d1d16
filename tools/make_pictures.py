"""Write the pictures of README.md and docs from output of the commands on recorded hosts: `make pictures`.

The same program writes the same bytes on every machine: clock, time zone, width and hosts are fixed, and `vitald probe` replays a recorded
run (tests/fixtures/pictures/probe.json: connects within a network namespace whose firewall dropped one SYN of 16 at random).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
HOSTS = ROOT / "tests/collectors/nic/hosts"
FIXTURES = ROOT / "tests/fixtures/pictures"
COLUMNS = 92
CLOCK = 1_795_748_400.0  # 2026-11-27 03:00 UTC
ENVIRONMENT = {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "TZ": "UTC", "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
ROOTS = ("--path.rootfs=.", "--path.sysfs=sys", "--path.procfs=proc", "--config.file=vitald.toml")  # relative, since paths are printed
PROGRAM = f"""
import json, sys, time
time.time = lambda: {CLOCK}
if sys.argv[1] == "probe":
    from collectors.probe.connect.result import ProbeResult, Reason
    from daemon.cli.probe import command
    recorded = iter(json.load(open({str(FIXTURES / "probe.json")!r})))
    class Replay:
        def run(self, destinations, timeout, **_):
            return [ProbeResult(Reason(reason), *rest) for reason, *rest in (next(recorded) for _ in destinations)]
    command.Sweeper = Replay
from daemon.cli.main import main
sys.exit(main())
"""
ONLY = "--collector.disable-defaults"
SYSLOG = """\
2026-11-27T02:41:07+00:00 ip-10-0-0-56 dhclient[694]: DHCPREQUEST for 10.0.0.56 on eth0 to 10.0.0.1 port 67
2026-11-27T02:43:12+00:00 ip-10-0-0-56 dhclient[694]: No DHCPOFFERS received.
2026-11-27T02:51:12+00:00 ip-10-0-0-56 dhclient[694]: No DHCPOFFERS received.
2026-11-27T02:58:31+00:00 ip-10-0-0-56 dhclient[694]: No DHCPOFFERS received.
"""
OLD, NEW = "6.1.0-55-cloud-amd64", "6.1.0-56-cloud-amd64"
MODULE = "kernel/drivers/net/ethernet/intel/ixgbevf/ixgbevf.ko"


def output(folder: Path, *command: str) -> str:
    """Run `vitald COMMAND` in a folder, as on a terminal with colours."""
    environment = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "XDG_CACHE_HOME"}} | ENVIRONMENT
    environment |= {"PYTHONPATH": str(ROOT), "HOME": str(folder)}
    argv = [sys.executable, "-c", PROGRAM, *command]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, cwd=folder).stdout.rstrip()


def draw(file: Path, typed: str, printed: str) -> None:
    """Write a picture of a terminal in which a command was typed."""
    with Path(os.devnull).open("w") as null:
        console = Console(record=True, width=COLUMNS, file=null, force_terminal=True, color_system="truecolor", legacy_windows=False)
        console.print(Text.from_ansi(f"$ {typed}\n{printed}"), soft_wrap=True)
        console.save_svg(str(file), title="vitald")


def check(folder: Path) -> str:
    """Return `vitald check` of a host whose DHCP client gets no answer and whose offloads are not those of its driver."""
    shutil.copytree(HOSTS / "ena-in-tree", folder, symlinks=True)
    (folder / "var/log").mkdir(parents=True)
    (folder / "var/log/syslog").write_text(SYSLOG)
    logs = '[logs]\nkmsg = "off"\njournal = "off"\nfiles = ["/var/log/syslog"]\n'
    (folder / "vitald.toml").write_text(f'{logs}[[nic.policy]]\ninterface = "ens*"\noffloads = {{ gro = false }}\n')
    return output(folder, "check", *ROOTS, ONLY, "--collector.logs", "--collector.nic")


def next_boot(folder: Path) -> str:
    """Return `vitald check` of a host with two kernels of Debian, of which the newer one lacks the module of the NIC."""
    shutil.copytree(HOSTS / "ixgbevf", folder, symlinks=True)
    (folder / "boot").mkdir()
    for release in (OLD, NEW):
        modules = folder / "lib/modules" / release
        (modules / MODULE).parent.mkdir(parents=True)
        (modules / "modules.dep").write_text(f"{MODULE}:\n")
        (modules / "modules.builtin").touch()
        (folder / f"boot/vmlinuz-{release}").touch()
    shutil.copy(FIXTURES / "ixgbevf.ko", folder / "lib/modules" / OLD / MODULE)
    (folder / "proc/sys/kernel/osrelease").write_text(OLD)
    (folder / "vitald.toml").write_text('[[nic.policy]]\ndriver = "ixgbevf"\nmin_version = "4.0"\n')
    for path in sorted(folder.rglob("*")):  # an hour old: a missing module of a new kernel is only a warning for some minutes
        os.utime(path, (CLOCK - 3600, CLOCK - 3600), follow_symlinks=False)
    return output(folder, "check", *ROOTS, ONLY, "--collector.nic")


def main(folder: Path = DOCS) -> None:
    """Write all pictures into a folder."""
    target = "10.0.0.5:5432"
    with tempfile.TemporaryDirectory() as temporary:
        hosts = Path(temporary)
        draw(folder / "check.svg", f"vitald check {ONLY} --collector.logs --collector.nic", check(hosts / "check"))
        draw(folder / "nic.svg", f"vitald check {ONLY} --collector.nic", next_boot(hosts / "nic"))
        draw(folder / "probe.svg", f"vitald probe -c 20 -i 0.05 {target}", output(hosts, "probe", "-c", "20", "-i", "0.05", target))


if __name__ == "__main__":
    main()

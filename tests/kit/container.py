"""A real systemd for tests that break things: a Debian root (roots.py), booted under an overlay that is gone when it ends.

`python -m tests.kit.container [COMMAND…]` (or `make lab`) opens a shell in a booted container with vitald installed.

The container has a network of its own with nothing in it but loopback. All it has of this machine is the checkout and a folder of
wheels, both read-only. It runs in a mount namespace and in a cgroup of its own, and is killed with the process that started it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.kit.roots import CHECKOUT, LabError, root, wheels

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = {"debootstrap": "debootstrap", "systemd-nspawn": "systemd-container", "nsenter": "util-linux"}
BOOT_SECONDS = 90
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Runs in a mount namespace of its own: what it mounts, nobody else sees, and nobody has to unmount.
_BOOT = """
space=$1 root=$2
shift 2
mount -t tmpfs -o mode=755 vitald-lab "$space"
mkdir "$space/upper" "$space/work" "$space/root"
mount -t overlay -o "lowerdir=$root,upperdir=$space/upper,workdir=$space/work" overlay "$space/root" 2>/dev/null ||
    cp -a --reflink=auto "$root/." "$space/root"
exec systemd-nspawn --quiet --directory="$space/root" --boot "$@"
"""
# Joins the cgroups named before the "--", then becomes what is named after it.
_ENTER = """
for group; do
    shift
    [ "$group" != -- ] || break
    echo $$ >"$group/cgroup.procs"
done
exec "$@"
"""


class Container:
    """A booted Debian; `with Container() as host:` ends it for sure."""

    def __init__(self) -> None:
        self.name = f"vitald-lab-{os.getpid()}-{os.urandom(2).hex()}"
        self.pid = 0
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._boot()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def _boot(self) -> None:
        space = Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix=f"{self.name}-")))
        console = self._exit.enter_context((space / "console").open("w+b"))
        (space / "run").mkdir()
        cgroups = self._exit.enter_context(_cgroups(self.name))
        options = [
            f"--machine={self.name}",
            *("--register=no", "--keep-unit", "--link-journal=no", "--private-network", "--console=pipe"),
            *("--resolv-conf=off", "--timezone=off"),
            "--capability=CAP_SYSLOG",  # as a host's PID 1 has it: to open /dev/kmsg
            f"--bind-ro={CHECKOUT}:/src/vitald",
            f"--bind-ro={wheels()}:/src/wheels",
        ]
        boot = ["unshare", "--mount", "--propagation=private", "sh", "-euc", _BOOT, "sh", str(space / "run"), str(root()), *options]
        manager = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", "sh", "-euc", _ENTER, "sh", *map(str, cgroups), "--", *boot],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is for us, and we end it in good order
        )
        self._exit.callback(_end, manager)
        deadline = time.monotonic() + BOOT_SECONDS
        while not self._is_up(manager.pid):
            if manager.poll() is not None or time.monotonic() > deadline:
                said = (space / "console").read_text(errors="replace")[-2000:]
                raise LabError(f"the container did not come up within {BOOT_SECONDS} s:\n{said}")
            time.sleep(0.1)

    def _is_up(self, manager: int) -> bool:
        with contextlib.suppress(OSError):
            for child in Path(f"/proc/{manager}/task/{manager}/children").read_text().split():
                if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                    self.pid = int(child)
                    return self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded")
        return False

    def run(self, *command: str, check: bool = True, timeout: float = 120, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command inside, with `text` as its input; what it printed is in the result, and in the error where it fails."""
        done = subprocess.run(
            [*self._enter(), *command], input=text, capture_output=True, text=True, errors="replace", check=False, timeout=timeout
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def shell(self, *command: str) -> int:
        """Run a command inside, on this terminal; the result is its exit status."""
        return subprocess.run([*self._enter(), *command], check=False).returncode

    def _enter(self) -> list[str]:
        inside = ["nsenter", f"--target={self.pid}", "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd", "--"]
        wheels = ["PIP_NO_INDEX=1", "PIP_FIND_LINKS=/src/wheels", "PIP_ROOT_USER_ACTION=ignore"]
        return [*inside, "env", "-i", f"PATH={PATH}", "HOME=/root", "LANG=C.UTF-8", f"TERM={os.environ.get('TERM', 'dumb')}", *wheels]

    def file(self, path: str) -> Path:
        """Return the container's file of that path as this machine sees it."""
        return Path(f"/proc/{self.pid}/root") / path.lstrip("/")

    def write(self, path: str, text: str) -> None:
        """Write a file inside, and the folders it needs."""
        self.file(path).parent.mkdir(parents=True, exist_ok=True)
        self.file(path).write_text(text)

    def install(self) -> str:
        """Install this checkout as its README says; return what that printed."""
        return self.run("make", "-C", "/src/vitald", "install").stdout


@contextlib.contextmanager
def _cgroups(name: str) -> Iterator[list[Path]]:
    """Make a cgroup in each hierarchy that systemd manages: v2's, or in a hybrid both v2's and v1's `name=systemd`."""
    top = Path("/sys/fs/cgroup")
    hierarchies = [top] if (top / "cgroup.procs").exists() else [top / "systemd", top / "unified"]
    made = [hierarchy / name for hierarchy in hierarchies if hierarchy.is_dir()]
    for group in made:
        group.mkdir()
    try:
        yield made
    finally:
        for group in made:
            for folder, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()


def _end(manager: subprocess.Popen[bytes]) -> None:
    manager.terminate()  # nspawn shuts the container down
    try:
        manager.wait(10)
    except subprocess.TimeoutExpired:
        manager.kill()
        manager.wait()


def main(command: list[str]) -> int:
    """Boot, install, start and open a shell; return its exit status."""
    if os.geteuid() != 0:
        sys.stderr.write("the lab boots a container, which takes root: sudo make lab\n")
        return 2
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if missing:
        sys.stderr.write(f"the lab needs more programs: apt-get install {' '.join(missing)}\n")
        return 2
    try:
        with Container() as host:
            host.install()
            host.run("systemctl", "enable", "--now", "vitald")
            if not command:
                sys.stderr.write("vitald runs in here: systemctl status vitald, journalctl -u vitald, vitald check. Ctrl-D ends it all.\n")
            return host.shell(*(command or ["bash", "-l"]))
    except (LabError, AssertionError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

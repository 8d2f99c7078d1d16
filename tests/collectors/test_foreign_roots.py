"""Foreign roots: with a recorded host's files nothing of this host is asked, by no collector."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from collectors.model import CollectorContext
from collectors.registry import COLLECTORS
from tests.collectors.nic.recorded_hosts import HOSTS

REPOSITORY = Path(__file__).parents[2]
MEMORY = REPOSITORY / "tests/collectors/memory/fixtures/vm-6.18"

# Runs every collector twice on the roots in argv[1], with an audit hook from its construction on. Printed: each event that asks the kernel
# or another program about this host, and each file of this host's /proc, /sys, /etc, /var, /run, /boot and /dev that is opened or listed.
PROGRAM = r"""
import json, os, sys, time
from pathlib import Path
roots = json.loads(sys.argv[1])
import collectors.model
from collectors.registry import COLLECTORS
from collectors.model import Inputs, Mode, Unavailable
import msgspec
ASKING = ("socket.", "subprocess.Popen", "os.exec", "os.posix_spawn", "fcntl.ioctl", "os.uname", "ctypes.")
OURS = ("/proc", "/sys", "/etc", "/var", "/run", "/boot", "/dev", "/lib/modules", "/usr/lib/modules", "/host")
HELPERS = ("collectors.logs.matching.compile_database", "collectors.memory.holders.helper")  # the second one has tests of its own
VITALD = ("/proc/self", "/proc/thread-self", "/dev/null", "/dev/urandom", "/etc/vitald")  # vitald's own process and settings
asked, watching = [], False

def hook(event, arguments):
    if not watching:
        return
    if event == "subprocess.Popen" and any(helper in map(str, arguments[1]) for helper in HELPERS):
        return
    if event.startswith(ASKING) and event != "socket.__new__":
        asked.append([event, repr(arguments)[:200]])
    elif event == "socket.__new__" and arguments[1] != 1:  # AF_UNIX: pipes between threads
        asked.append([event, repr(arguments[1:])[:200]])
    elif event in {"open", "os.listdir", "os.scandir"} and isinstance(arguments[0], (str, bytes, os.PathLike)):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if path.startswith(OURS) and not path.startswith(VITALD) and not path.startswith(tuple(roots["below"])):
            asked.append([event, path])

uname = os.uname
def watched_uname():
    caller = sys._getframe(1).f_code.co_filename
    if watching and not caller.endswith("logs/matching/database.py"):  # the key of a compiled database: this program's machine
        asked.append(["os.uname", caller])
    return uname()
os.uname = watched_uname
sys.addaudithook(hook)
results = {}
for name in COLLECTORS:
    collector_class = COLLECTORS[name]
    settings = collector_class.Settings()
    if name == "probe":
        settings = msgspec.structs.replace(settings, targets=("127.0.0.1:9", "localhost:9"))
    if name == "host":
        settings = msgspec.structs.replace(settings, imds_url="http://127.0.0.1:9")
    context = collectors.model.CollectorContext(**{key: Path(value) for key, value in roots["context"].items()}, mode=Mode[sys.argv[2]])
    watching = True
    try:
        collector = collector_class(settings, context)
        for _ in range(2):
            collector.receive(Inputs())
            reading = collector.read()
            verdicts = list(collector.judge([reading], settings))
            collector.follow_up(reading, verdicts)
            list(collector.measure(reading, settings)), list(collector.show([reading], settings))
        results[name] = "read"
    except Unavailable as error:
        results[name] = f"unavailable: {error.reason}"
    finally:
        collector.close()
        watching = False
print(json.dumps({"asked": asked, "results": results}))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded host: an ENA interface, a memory fixture, a kernel, log files; a boot id of its own."""
    root = tmp_path_factory.mktemp("recorded") / "host"
    shutil.copytree(HOSTS / "ena-in-tree", root, symlinks=True)
    shutil.copytree(MEMORY, root, symlinks=True, dirs_exist_ok=True)
    for path, content in {
        "proc/sys/kernel/random/boot_id": "00000000-0000-4000-8000-000000000000\n",
        "sys/class/dmi/id/sys_vendor": "Amazon EC2\n",
        "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "var/log/syslog": "Nov 27 23:00:00 web1 dhclient[7]: No DHCPOFFERS received.\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return root


def asked(mode: str, below: Path, **context: Path) -> tuple[list[list[str]], dict[str, str]]:
    """Return what was asked of this host, and the result of each collector."""
    roots = json.dumps({"context": {key: str(path) for key, path in context.items()}, "below": [str(below)]})
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(below.parent)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, roots, mode], capture_output=True, text=True, check=False, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    return found["asked"], found["results"]


@pytest.mark.fault(142)
@pytest.mark.parametrize("mode", ["DAEMON", "CHECK"])
@pytest.mark.parametrize(
    "roots", [("proc", "sys", "root"), ("proc",), ("sys",), ("root",), ("sys", "root"), ("proc", "root"), ("proc", "sys")], ids="-".join
)
def test_with_a_foreign_root_no_collector_asks_this_host(tree: Path, roots: tuple[str, ...], mode: str) -> None:
    paths = {"proc": tree / "proc", "sys": tree / "sys", "root": tree}
    found, results = asked(mode, tree, **{name: paths[name] for name in roots})
    assert found == []
    assert set(results) == set(COLLECTORS)
    assert {results[name] for name in ("probe", "path_mtu", "dhcp")} == {"unavailable: missing"}
    assert {results[name] for name in ("nic", "host", "memory")} == {"read"}


@pytest.mark.fault(142)
def test_the_hook_sees_what_a_collector_asks_of_this_host(tmp_path: Path) -> None:
    found, _ = asked("DAEMON", tmp_path / "none")
    events = {event for event, _ in found}
    assert {"socket.__new__", "os.uname", "open"} <= events
    assert any(path.startswith(("/proc/net", "/proc/meminfo")) for event, path in found if event == "open")


@pytest.mark.fault(142)
def test_what_is_this_host_and_what_is_not(tree: Path, tmp_path: Path) -> None:
    assert not CollectorContext().is_recorded
    no_boot_id = tmp_path / "host"
    shutil.copytree(tree, no_boot_id, symlinks=True)
    (no_boot_id / "proc/sys/kernel/random/boot_id").unlink()
    assert CollectorContext(proc=no_boot_id / "proc").is_recorded
    assert CollectorContext(sys=no_boot_id / "sys").is_recorded
    assert CollectorContext(root=no_boot_id).is_recorded
    only_sys = CollectorContext(sys=tree / "sys")
    assert (only_sys.proc, only_sys.root) == (tree / "proc", tree)
    assert CollectorContext(proc=Path("/nowhere/proc")).sys == Path("/nowhere/sys")


@pytest.mark.root
@pytest.mark.fault(142)
def test_a_container_that_sees_the_host_under_another_path_reads_this_host(tmp_path: Path) -> None:
    """A mount namespace with the root, procfs and sysfs at /host, as `docker run -v /:/host` has them."""
    code = "from collectors.model import CollectorContext as C; from pathlib import Path as P; h = P(__import__('sys').argv[1]); "
    code += "print(C(h / 'proc', h / 'sys', h).is_recorded, C(sys=h / 'sys').is_recorded, C(sys=h / 'sys/kernel').is_recorded)"
    script = f'mount --rbind / {tmp_path} && exec {sys.executable} -c "{code}" {tmp_path}'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert done.stdout.split() == ["False", "False", "True"], done.stderr

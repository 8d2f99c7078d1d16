"""The collector with the daemon's state directory on a full tmpfs, and as an unprivileged user."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]

FULL_DISK = """
import ctypes, json, os, sys
from pathlib import Path
from collectors.logs.collector import LogsCollector
from collectors.logs.settings import LogSettings
from collectors.model import CollectorContext
from daemon.state_store import StateStore
folder, cache = Path(sys.argv[1]), Path(sys.argv[2])
disk, syslog = folder / "state", folder / "syslog"
disk.mkdir(mode=0o700)
syslog.touch()
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x00020000) == 0 and libc.mount(b"none", b"/", None, 0x44000, None) == 0  # a private mount namespace
assert libc.mount(b"tmpfs", bytes(disk), b"tmpfs", 0, b"size=64k,mode=700") == 0
state = StateStore(disk, ["logs"])
state.finish_opening(60)
settings = LogSettings(kmsg="off", journal="off", files=(str(syslog),), signature_dirs=())
logs = None
def begin():
    global logs
    logs = LogsCollector(settings, CollectorContext(slot=state.slot("logs"), cache=cache))
def write_line():
    with syslog.open("a") as file:
        file.write("Nov 21 10:00:00 ip-10-0-0-56 dhclient[694]: No DHCPOFFERS received.\\n")
def count():
    return logs.read().events["dhclient-no-offers"]
results = []
begin(); write_line(); results.append(count())
old = (disk / "logs.json").read_bytes()
filler = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT, 0o600)
try:
    while os.write(filler, bytes(4096)):
        pass
except OSError as error:
    results.append(error.strerror)
write_line(); results.append(count())
results += [state.failures > 0, (disk / "logs.json").read_bytes() == old]
os.ftruncate(filler, 0)
results.append(count())
state_now = (disk / "logs.json").read_bytes()
results.append(state_now != old)
logs = None  # killed: nothing is saved at the end
begin(); write_line(); results.append(count())
print(json.dumps(results))
"""

UNREADABLE = """
import json, sys
from pathlib import Path
from collectors.logs.collector import LogsCollector
from collectors.logs.settings import LogSettings
from collectors.model import CollectorContext
folder = Path(sys.argv[1])
files = (str(folder / "secret"), str(folder / "open"))
settings = LogSettings(kmsg=str(folder / "kmsg"), journal="off", files=files, signature_dirs=())
logs = LogsCollector(settings, CollectorContext(cache=Path(sys.argv[2])))
logs.read()
reading = logs.read()
print(json.dumps({
    "events": reading.events["dhclient-no-offers"],
    "lost": {f"{Path(source).name} {reason}": count for (source, reason), count in reading.lost.items() if count},
    "kmsg": reading.unavailable["kmsg"],
    "metrics": [(m.family.name, m.labels, m.value) for m in logs.measure(reading, settings) if m.family.name == "log_source_available"],
}))
"""


@pytest.fixture
def folder(database_file: Path) -> Iterator[Path]:
    """Create a folder that other users can access, unlike pytest's own, with the compiled signatures in `cache`."""
    folder = Path(tempfile.mkdtemp(prefix="vitald-logs-"))
    folder.chmod(0o755)
    (folder / "cache").mkdir()
    shutil.copyfile(database_file, folder / "cache/signatures.db")
    (folder / "cache/signatures.db").chmod(0o644)
    yield folder
    shutil.rmtree(folder)


def run(*arguments: str | Path) -> Any:
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, check=False, cwd=ROOT, timeout=50)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.fault(11)
@pytest.mark.root
def test_a_full_disk_keeps_the_old_state_and_loses_no_count(folder: Path) -> None:
    result = run(sys.executable, "-c", FULL_DISK, folder, folder / "cache")
    assert result == [1, "No space left on device", 2, True, True, 2, True, 3]


@pytest.mark.fault(13)
@pytest.mark.root
@pytest.mark.needs("setpriv")
def test_files_readable_by_root_only_are_counted_as_unreadable_and_others_are_read(folder: Path) -> None:
    line = "Nov 21 10:00:00 ip-10-0-0-56 dhclient[694]: No DHCPOFFERS received.\n"
    for name, mode in (("secret", 0o600), ("kmsg", 0o600), ("open", 0o644)):
        (folder / name).write_text(line)
        (folder / name).chmod(mode)
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
    result = run(*command, sys.executable, "-c", UNREADABLE, folder, folder / "cache")
    assert result["events"] == 1
    assert result["lost"] == {"secret unreadable": 1}
    assert result["kmsg"] == ["permission", "Permission denied"]
    assert ["log_source_available", ["kmsg", "permission"], 0] in result["metrics"]

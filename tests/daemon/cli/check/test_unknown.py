"""`vitald check` and the daemon where they may not or cannot read: could not tell, never healthy."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.running import Launch

ROOT = Path(__file__).parents[4]
OOM = "3,1,1000000,-;Out of memory: Killed process 4242 (java) total-vm:8000000kB, anon-rss:7000000kB, file-rss:0kB, shmem-rss:0kB\n"
AS_NOBODY = """
import os, sys
import daemon.cli.check.command, daemon.cli.check.table, daemon.cli.status, collectors.registry, daemon.config_errors  # readable for root
from daemon.cli.main import main
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
sys.exit(main(sys.argv[1:]))
"""
WITHOUT_MEMINFO = """
import os, sys
os.execvp("unshare", ["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null /proc/meminfo && exec "$@"', "sh", *sys.argv[1:]])
"""


@pytest.fixture
def host() -> Iterator[Path]:
    """Return a folder that every user can enter, with a recorded kernel log that only root can read, and settings that read it."""
    with tempfile.TemporaryDirectory(prefix="vitald-unknown-") as name:  # pytest's own folders are for its user only
        folder = Path(name)
        folder.chmod(0o755)
        log = folder / "kmsg"
        log.write_text(OOM)
        log.chmod(0o600)
        (folder / "syslog").write_text("")
        (folder / "vitald.toml").write_text(f'[logs]\nkmsg = "{log}"\njournal = "off"\nfiles = ["{folder}/syslog"]\n')
        yield folder


def check(*command: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run([*command, "--format", "json"], capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)
    assert "Traceback" not in done.stderr
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def levels(document: dict[str, Any]) -> dict[str, str]:
    return {finding["check"]: finding["level"] for finding in document["findings"]}


def only(host: Path, *collectors: str) -> list[str]:
    return [
        "check",
        "--config.file",
        str(host / "vitald.toml"),
        "--collector.disable-defaults",
        *(f"--collector.{name}" for name in collectors),
    ]


@pytest.mark.root
@pytest.mark.fault(146)
def test_an_ordinary_user_is_not_told_that_a_log_is_healthy_which_only_root_can_read(host: Path) -> None:
    code, by_root = check(sys.executable, "-m", "daemon", *only(host, "logs"))
    assert (code, levels(by_root)["memory_log"]) == (2, "critical")
    code, by_user = check(sys.executable, "-c", AS_NOBODY, *only(host, "logs"))
    assert (code, by_user["exit"], levels(by_user)["memory_log"]) == (3, 3, "unknown")
    (finding,) = [finding for finding in by_user["findings"] if finding["check"] == "memory_log"]
    assert (
        finding["message"] == "could not tell: messages of the kernel are not read: kmsg: Permission denied; journal: [logs] journal is off"
    )
    assert "sudo vitald check" in finding["remediation"]


@pytest.mark.root
@pytest.mark.fault(146)
def test_one_file_of_several_that_may_not_be_read_is_enough(host: Path) -> None:
    (host / "messages").touch(0o600)
    (host / "vitald.toml").write_text(f'[logs]\nkmsg = "off"\njournal = "off"\nfiles = ["{host}/syslog", "{host}/messages"]\n')
    assert check(sys.executable, "-m", "daemon", *only(host, "logs"))[0] == 0
    code, document = check(sys.executable, "-c", AS_NOBODY, *only(host, "logs"))
    assert (code, levels(document)["dhcp_log"]) == (3, "unknown")
    assert any(f"not all read: {host}/messages: Permission denied" in finding["message"] for finding in document["findings"])


@pytest.mark.root
@pytest.mark.fault(146)
def test_memory_is_unknown_where_meminfo_is_empty_or_denied(host: Path) -> None:
    code, document = check(sys.executable, "-c", WITHOUT_MEMINFO, sys.executable, "-m", "daemon", *only(host, "memory"))
    assert (code, levels(document)) == (3, {"memory_kernel": "unknown", "memory_process": "unknown"})
    proc = host / "proc"
    proc.mkdir()
    (proc / "meminfo").write_text(Path("/proc/meminfo").read_text())
    (proc / "meminfo").chmod(0)
    code, document = check(sys.executable, "-c", AS_NOBODY, *only(host, "memory"), "--path.procfs", str(proc))
    assert (code, levels(document)) == (3, {"memory_kernel": "unknown", "memory_process": "unknown"})
    assert "Permission denied" in document["findings"][0]["message"]


@pytest.mark.root
@pytest.mark.fault(146)
def test_a_known_fault_wins_over_what_is_unknown(host: Path) -> None:
    code, document = check(sys.executable, "-c", WITHOUT_MEMINFO, sys.executable, "-m", "daemon", *only(host, "logs", "memory"))
    assert code == 2
    assert {levels(document)["memory_log"], levels(document)["memory_kernel"]} == {"critical", "unknown"}


@pytest.mark.root
@pytest.mark.fault(146)
def test_the_table_names_what_could_not_be_read_and_what_is_not_applicable(host: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_MEMINFO, sys.executable, "-m", "daemon", *only(host, "memory", "path_mtu")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)
    assert done.returncode == 3
    assert "UNKNOWN memory_kernel, memory_process" in done.stdout
    assert "could not tell: " in done.stdout
    assert "not applicable path_mtu: " in done.stdout
    assert "healthy" not in done.stdout


@pytest.mark.root
@pytest.mark.fault(146)
def test_the_daemon_has_it_in_its_page_its_status_and_no_series(launch: Launch, tmp_path: Path) -> None:
    hidden = tmp_path / "proc"
    hidden.mkdir()
    (hidden / "meminfo").write_text("")
    path = tmp_path / "vitald.sock"
    daemon = launch("--path.procfs", str(hidden), "--web.socket", str(path), "--collector.disable-defaults", "--collector.memory").ready()
    daemon.until(lambda: "2 unknown" in daemon.hears("STATUS="))
    daemon.until(lambda: daemon.metric('vitald_collector_available{collector="memory",reason="failing"}') == 0)
    assert 'vitald_health{check="memory' not in daemon.get()
    page = daemon.get("/")
    assert "Unknown" in page
    assert "could not tell: " in page
    done = subprocess.run(
        [sys.executable, "-m", "daemon", "status", "--web.socket", path], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 3
    assert "UNKNOWN memory_kernel, memory_process" in done.stdout

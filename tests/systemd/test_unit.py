"""The unit and its companion files, not installed: checked by systemd's tools and by a parser of comments."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2] / "systemd"
UNIT = HERE / "vitald.service"

GRANTS = (  # directives that grant something or choose the user; all others of the sandbox only deny
    *("AmbientCapabilities", "CapabilityBoundingSet", "RestrictAddressFamilies", "SystemCallFilter"),
    *("User", "StateDirectory", "OOMScoreAdjust", "MemoryHigh", "CPUQuota"),
)


def run(*command: str, **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    return str(done.stdout + done.stderr)


def directives(unit: Path) -> list[tuple[str, str, str]]:
    """Return (name, value, comment) of each line; consecutive lines share the comment above them."""
    found, comment, last = [], "", ""
    for line in unit.read_text().splitlines():
        if line.startswith("#"):
            comment = f"{comment} {line}" if last.startswith("#") else line
        elif "=" in line:
            name, _, value = line.partition("=")
            found.append((name, value, comment))
        else:
            comment = ""
        last = line
    return found


def exposure(folder: Path, unit: str) -> float:
    (folder / "vitald.service").write_text(unit)
    output = run("systemd-analyze", "security", "--offline=true", "--no-pager", str(folder / "vitald.service"))
    found = re.search(r"Overall exposure level for vitald\.service: ([0-9.]+)", output)
    assert found, output
    return float(found[1])


@pytest.mark.fault(57)
@pytest.mark.needs("systemd-analyze")
def test_its_exposure_is_at_most_two(tmp_path: Path) -> None:
    assert exposure(tmp_path, UNIT.read_text()) <= 2.0


@pytest.mark.needs("systemd-analyze")
def test_the_drop_in_for_holders_states_its_exposure(tmp_path: Path) -> None:
    text = (HERE / "drop-ins/holders.conf").read_text()
    (tmp_path / "vitald.service.d").mkdir()
    (tmp_path / "vitald.service.d/holders.conf").write_text(text)
    before = exposure(tmp_path, UNIT.read_text().replace("[Unit]", "[Unit]", 1))
    (tmp_path / "vitald.service.d/holders.conf").unlink()
    assert f"from {exposure(tmp_path, UNIT.read_text())} to {before}" in text


@pytest.mark.fault(57)
@pytest.mark.needs("systemd-analyze")
def test_systemd_analyze_verify_reports_nothing(tmp_path: Path) -> None:
    unit = tmp_path / "vitald.service"
    unit.write_text(UNIT.read_text().replace("/opt/vitald/current/bin/vitald", "/bin/true").replace("file:///opt/vitald", "file:///tmp"))
    assert run("systemd-analyze", "verify", "--man=no", str(unit)) == ""


def test_each_line_that_grants_something_has_a_comment() -> None:
    found = directives(UNIT)
    opened = [
        (n, v, c) for n, v, c in found if n in GRANTS or (n.startswith(("Private", "Protect", "Restrict")) and v in ("no", "default"))
    ]
    assert {name for name, _, _ in opened} >= {*GRANTS, "PrivateNetwork", "ProtectProc", "ProtectHostname"}
    silent = [f"{name}={value}" for name, value, comment in opened if not comment]
    assert silent == []


def test_a_capability_that_is_granted_is_named_in_the_comment() -> None:
    for name, value, comment in [*directives(UNIT), *directives(HERE / "drop-ins/holders.conf")]:
        if name in ("AmbientCapabilities", "CapabilityBoundingSet"):
            assert all(capability in comment for capability in value.split()), (name, comment)


def test_at_most_the_two_capabilities_of_the_contract_are_granted() -> None:
    granted = {word for name, value, _ in directives(UNIT) if "Capabilit" in name for word in value.split()}
    assert granted <= {"CAP_NET_RAW", "CAP_SYSLOG"}


@pytest.mark.needs("systemd-sysusers")
def test_the_user_is_created_without_warnings() -> None:
    output = run("systemd-sysusers", "--dry-run", str(HERE / "vitald.sysusers"))
    assert not re.search(r"fail|ignor|invalid|unknown", output, re.IGNORECASE), output


@pytest.mark.root
@pytest.mark.needs("systemd-sysusers", "systemd-tmpfiles")
def test_in_an_empty_root_user_groups_and_folders_are_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for name in ("passwd", "group"):
        (tmp_path / "etc" / name).write_text("root:x:0:0::/root:/bin/sh\n" if name == "passwd" else "root:x:0:\n")
    run("systemd-sysusers", f"--root={tmp_path}", str(HERE / "vitald.sysusers"))
    groups = {line.split(":")[0]: line.split(":")[3] for line in (tmp_path / "etc/group").read_text().splitlines()}
    assert (groups["adm"], groups["systemd-journal"]) == ("vitald", "vitald")  # created, though there were no such groups
    assert run("systemd-tmpfiles", f"--root={tmp_path}", "--create", str(HERE / "vitald.tmpfiles")) == ""
    uid = int(next(line.split(":")[2] for line in (tmp_path / "etc/passwd").read_text().splitlines() if line.startswith("vitald:")))
    assert (tmp_path / "var/lib/vitald").stat().st_uid == uid
    assert (tmp_path / "etc/vitald/targets").stat().st_uid == 0


def test_with_an_old_systemd_the_generator_sets_no_growing_delay(tmp_path: Path) -> None:
    assert not (_generate(tmp_path, "systemd 253 (253.5-1)") / "10-back-off.conf").exists()


@pytest.mark.needs("systemd-analyze")
def test_with_a_newer_systemd_the_delay_grows(tmp_path: Path) -> None:
    dropin = _generate(tmp_path, "systemd 254 (254.1-1)") / "10-back-off.conf"
    assert dropin.read_text().splitlines()[1:] == ["[Service]", "RestartSec=1", "RestartSteps=7", "RestartMaxDelaySec=60"]


def test_without_systemctl_the_generator_still_succeeds(tmp_path: Path) -> None:
    assert not (_generate(tmp_path, None) / "10-back-off.conf").exists()


def test_kmsg_is_passed_where_it_can_be_opened(tmp_path: Path) -> None:
    try:
        os.close(os.open("/dev/kmsg", os.O_RDONLY))
        readable = True
    except OSError:
        readable = False
    dropin = _generate(tmp_path, "systemd 252") / "10-kmsg.conf"
    assert dropin.exists() == readable
    assert not readable or "\nStandardInput=file:/dev/kmsg\n" in dropin.read_text()


def _generate(folder: Path, version: str | None) -> Path:
    """Run the generator with a fake systemctl of that version."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("mkdir", "cat", "sed"):
        (programs / name).symlink_to(f"/bin/{name}")
    if version:
        (programs / "systemctl").write_text(f"#!/bin/sh\necho '{version}'\n")
        (programs / "systemctl").chmod(0o755)
    run(str(HERE / "vitald-generator"), str(folder / "normal"), str(folder / "early"), str(folder / "late"), env={"PATH": str(programs)})
    return folder / "normal/vitald.service.d"

"""`make install` and `make uninstall` on a fresh Debian, with the README's commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.container import Container

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = "/etc/vitald/vitald.toml"
COPY = "/var/tmp/checkout"


@pytest.fixture(scope="module")
def machine() -> Iterator[Container]:
    """A host with vitald installed once."""
    with Container() as container:
        container.install()
        yield container


@pytest.fixture
def fresh() -> Iterator[Container]:
    """A host without vitald."""
    with Container() as container:
        yield container


def current(host: Container) -> str:
    return host.run("readlink", "/opt/vitald/current").stdout.strip()


def releases(host: Container) -> list[str]:
    return [f"/opt/vitald/releases/{name}" for name in host.run("ls", "/opt/vitald/releases").stdout.split()]


def show(host: Container, name: str) -> str:
    return host.run("systemctl", "show", "--value", f"--property={name}", "vitald").stdout.strip()


def test_install_creates_program_user_unit_and_settings_and_starts_nothing(fresh: Container) -> None:
    output = fresh.run("bash", "-c", "umask 077 && make -C /src/vitald install").stdout  # a common setting for root
    assert "sudo systemctl enable --now vitald" in output
    assert fresh.run("runuser", "-u", "nobody", "--", "vitald", "--version").stdout.startswith("vitald ")
    assert fresh.run("find", "/opt/vitald", "!", "-perm", "-o=r", "!", "-type", "l").stdout == ""
    assert fresh.run("getent", "passwd", "vitald").stdout.strip().endswith(":/var/lib/vitald:/usr/sbin/nologin")
    owners = fresh.run("stat", "--format=%U:%G %a %n", "/etc/vitald", SETTINGS, "/etc/vitald/targets", "/var/lib/vitald").stdout
    assert owners.splitlines() == [
        "root:root 755 /etc/vitald",
        f"root:root 644 {SETTINGS}",
        "root:root 755 /etc/vitald/targets",
        "vitald:vitald 750 /var/lib/vitald",
    ]
    assert (show(fresh, "UnitFileState"), show(fresh, "ActiveState")) == ("disabled", "inactive")
    assert fresh.run("systemctl", "enable", "--now", "vitald").returncode == 0
    assert show(fresh, "ActiveState") == "active"


def test_an_upgrade_restarts_what_runs_and_keeps_settings_and_the_version_before(machine: Container) -> None:
    machine.write(SETTINGS, '[probe]\ninterval = "7s"\n')
    machine.run("systemctl", "start", "vitald")
    before, first = show(machine, "MainPID"), current(machine)
    machine.install()
    second = current(machine)
    assert second != first
    assert (show(machine, "ActiveState"), show(machine, "MainPID") != before) == ("active", True)
    assert second in machine.run("cat", f"/proc/{show(machine, 'MainPID')}/maps").stdout
    assert machine.file(SETTINGS).read_text() == '[probe]\ninterval = "7s"\n'
    assert sorted(releases(machine)) == sorted([first, second])
    machine.install()
    assert sorted(releases(machine)) == sorted([second, current(machine)])


@pytest.mark.fault(30)
def test_a_version_for_which_the_settings_are_invalid_is_not_switched_to(machine: Container) -> None:
    machine.write(SETTINGS, "")
    machine.run("systemctl", "restart", "vitald")
    before = (current(machine), releases(machine), show(machine, "MainPID"))
    machine.write(SETTINGS, "[probe]\ninterval = 7\n")
    done = machine.run("make", "-C", "/src/vitald", "install", check=False)
    assert done.returncode != 0
    assert f"{SETTINGS}: probe.interval" in done.stderr
    assert "the previous installation is unchanged" in done.stderr
    assert (current(machine), releases(machine), show(machine, "MainPID")) == before
    machine.write(SETTINGS, "")


def test_a_package_with_another_hash_than_the_locked_one_is_refused(machine: Container) -> None:
    machine.run(
        "sh",
        "-euc",
        f"rm -rf {COPY} && cp -R /src/vitald {COPY} && sed -i 's/--hash=sha256:....../--hash=sha256:000000/' {COPY}/requirements.lock",
    )
    before = (current(machine), releases(machine))
    done = machine.run("make", "-C", COPY, "install", check=False)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert (current(machine), releases(machine)) == before


def test_an_ordinary_user_can_stage_it_and_the_stage_runs_where_it_is_copied_to(fresh: Container) -> None:
    fresh.run("runuser", "-u", "nobody", "--", "make", "-C", "/src/vitald", "install", "DESTDIR=/var/tmp/stage", "PREFIX=/usr")
    assert fresh.run("grep", "-rlF", "/var/tmp/stage", "/var/tmp/stage", check=False).stdout == ""
    staged = fresh.run("find", "/var/tmp/stage", "-maxdepth", "5", "-not", "-path", "*/opt/*", "-not", "-type", "d").stdout.split()
    assert sorted(path.removeprefix("/var/tmp/stage") for path in staged) == [
        "/etc/vitald/vitald.toml",
        "/usr/bin/vitald",
        "/usr/lib/systemd/system-generators/vitald-generator",
        "/usr/lib/systemd/system/vitald.service",
        "/usr/lib/sysusers.d/vitald.conf",
        "/usr/lib/tmpfiles.d/vitald.conf",
    ]
    fresh.run("cp", "-R", "/var/tmp/stage/.", "/")
    fresh.run("systemd-sysusers")
    fresh.run("systemctl", "daemon-reload")
    fresh.run("systemctl", "start", "vitald")
    assert show(fresh, "ActiveState") == "active"


@pytest.mark.parametrize(
    ("variables", "error"),
    [
        (["PREFIX=/opt/tools"], "PREFIX=/opt/tools: no unit path of systemd; expected /usr or /usr/local"),
        (["DESTDIR=stage"], "DESTDIR=stage: not absolute; expected an absolute path"),
        (["PYTHON=/root/python/bin/python3"], "PYTHON=/root/python/bin/python3: expected 3.11 or newer, and not below /root or /home"),
        (["PYTHON=no-such-python"], "PYTHON=no-such-python: no such program"),
    ],
)
def test_an_invalid_variable_is_refused_with_what_is_expected(machine: Container, variables: list[str], error: str) -> None:
    machine.run(
        "sh", "-c", "mkdir -p /root/python/bin && cp /usr/bin/python3.11 /root/python/bin/python3 && ln -sfn /usr/lib /root/python/lib"
    )
    done = machine.run("make", "-C", "/src/vitald", "install", *variables, check=False)
    assert done.returncode != 0
    assert error in done.stderr


def test_an_ordinary_user_is_referred_to_sudo(machine: Container) -> None:
    for target in ("install", "uninstall"):
        done = machine.run("runuser", "-u", "nobody", "--", "make", "-C", "/src/vitald", target, check=False)
        assert done.returncode != 0
        assert f"sudo make {target}" in done.stderr


def test_uninstall_keeps_settings_and_state_and_reports_that_and_purge_keeps_nothing(fresh: Container) -> None:
    before = _files(fresh)
    fresh.install()
    fresh.run("systemctl", "enable", "--now", "vitald")
    fresh.write(SETTINGS, '[probe]\ninterval = "7s"\n')
    output = fresh.run("make", "-C", "/src/vitald", "uninstall").stdout
    assert "kept /etc/vitald, /var/lib/vitald and the user vitald" in output
    assert fresh.run("systemctl", "is-active", "vitald", check=False).stdout.strip() == "inactive"
    assert show(fresh, "LoadState") == "not-found"
    assert not fresh.file("/opt/vitald").exists()
    assert fresh.file(SETTINGS).read_text() == '[probe]\ninterval = "7s"\n'
    assert fresh.file("/var/lib/vitald/lock").exists()
    fresh.run("make", "-C", "/src/vitald", "uninstall", "PURGE=1")
    assert _files(fresh) == before
    assert fresh.run("getent", "passwd", "vitald", check=False).returncode != 0
    fresh.run("make", "-C", "/src/vitald", "uninstall", "PURGE=1")  # repeating it has no effect


def _files(host: Container) -> set[str]:
    """Return all files, and vitald's directories, below the directories that an installation writes to."""
    folders = ("/opt", "/usr/local", "/etc/systemd", "/etc/vitald", "/var/lib/vitald", "/usr/lib/systemd")
    found = host.run("find", *folders, "(", "!", "-type", "d", "-o", "-name", "*vitald*", ")", check=False)
    return set(found.stdout.split())

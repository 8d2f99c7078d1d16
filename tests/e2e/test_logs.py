"""The logs collector with real journald, rsyslog and logrotate."""

from __future__ import annotations

import os
import shutil
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.logs import NO_OFFERS, WATCHDOG, LogsInContainer
from tests.e2e.service import Service, wait
from tests.kit.container import Container
from tests.kit.network import Network

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


PANIC = "Kernel panic - not syncing: Fatal exception"
FORGE = f"""
import ctypes, socket, time
ctypes.CDLL(None).prctl(15, b"dhclient", 0, 0, 0)
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.connect("/dev/log")
log.send(b"<30>dhclient[7]: {NO_OFFERS}")
log.send(b"<0>kernel: {PANIC}")
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.connect("/run/systemd/journal/socket")
journal.send(b"MESSAGE={NO_OFFERS}\\n_COMM=dhclient\\n_UID=0\\n_SYSTEMD_UNIT=networking.service\\nSYSLOG_IDENTIFIER=dhclient\\n")
journal.send(b"MESSAGE={PANIC}\\n_TRANSPORT=kernel\\nSYSLOG_FACILITY=0\\n")
time.sleep(1)
"""


@pytest.fixture
def logs(service: Service) -> Iterator[LogsInContainer]:
    logs = LogsInContainer(service)
    yield logs
    service.systemctl("stop")
    service.host.run("sh", "-c", "rm -rf /var/lib/vitald/logs.json /etc/vitald/signatures.d")


@pytest.fixture
def journal(logs: LogsInContainer) -> LogsInContainer:
    logs.settings('kmsg = "off"\njournal = "on"\nfiles = []')
    assert logs.value('vitald_log_source_reads{origin="programs",source="journal"}') == 1
    return logs


def test_a_dhcp_clients_message_is_counted_from_the_journal_by_its_unit(journal: LogsInContainer) -> None:
    before = journal.events("dhclient-no-offers")
    journal.write_as_unit("networking.service", NO_OFFERS)
    journal.counted("dhclient-no-offers", int(before) + 1)
    assert journal.value('vitald_health{check="dhcp_log",subject="dhcp"}') == 2


@pytest.mark.fault(136)
def test_networkds_words_about_a_containers_interface_are_no_finding(journal: LogsInContainer, network: Network) -> None:
    """Two links that networkd manages lose their carrier: one is named as a container's, the other as a NIC."""
    links = ("vethapp0", "uplink0")
    config = "/run/systemd/network/10-carrier.network"
    journal.host.write(config, f"[Match]\nName={' '.join(links)}\n[Network]\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n")
    journal.host.run("systemctl", "start", "systemd-networkd")
    fault = 'vitald_log_fault_level{check="nic_log",device="uplink0"'
    far = Network()
    try:
        for name in links:
            network.run("ip", "link", "add", name, "type", "veth", "peer", "name", name, "netns", str(far.tid))
            far.run("ip", "link", "set", name, "up")
        wait(lambda: all(f"{name}: Gained carrier" in entries(journal) for name in links), "the carrier of both")
        for name in links:
            far.run("ip", "link", "set", name, "down")
        wait(lambda: journal.value(fault) == 1, f"{fault}; there is {journal.metrics()[-2000:]}")
        assert f"{links[0]}: Lost carrier" in entries(journal)
        assert journal.events("networkd-lost-carrier") == 1
        (line,) = (line for line in journal.metrics().splitlines() if line.startswith(fault))
        assert 'unit="systemd-networkd.service"' in line
        for name in links:
            far.run("ip", "link", "set", name, "up")
        wait(lambda: journal.value(fault) == 0, "the end of the fault")
    finally:
        journal.host.run("systemctl", "stop", "systemd-networkd.socket", "systemd-networkd")
        journal.host.file(config).unlink()
        far.close()


def entries(logs: LogsInContainer) -> str:
    return logs.host.run("journalctl", "--no-pager", "--unit=systemd-networkd", "--output=cat").stdout


@pytest.mark.fault(9)
def test_messages_of_users_are_counted_neither_as_the_kernels_nor_as_a_clients(journal: LogsInContainer) -> None:
    before, lines = journal.events("dhclient-no-offers"), journal.events("netdev-watchdog")
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    for tag in ("kernel", "dhclient", "networking", "systemd-networkd"):
        journal.host.run(*nobody, "logger", "-t", tag, WATCHDOG)
        journal.host.run(*nobody, "logger", "-t", tag, NO_OFFERS)
    datagram = f"import socket; socket.socket(1, 2).sendto(b'<2>kernel: {WATCHDOG}', '/run/systemd/journal/dev-log')"
    journal.host.run(*nobody, "python3", "-c", datagram)
    native = "MESSAGE={}\\n_TRANSPORT=kernel\\nSYSLOG_IDENTIFIER=kernel\\n_SYSTEMD_UNIT=networking.service\\n"
    for message in (WATCHDOG, NO_OFFERS):
        sent = native.format(message)
        journal.host.run(*nobody, "python3", "-c", f"import socket; socket.socket(1, 2).sendto(b'{sent}', '/run/systemd/journal/socket')")
    journal.write_as_unit("networking.service", NO_OFFERS)  # the only genuine one, and the last
    journal.counted("dhclient-no-offers", int(before) + 1)
    assert journal.events("netdev-watchdog") == lines


def test_a_message_with_unprintable_bytes_is_counted(journal: LogsInContainer) -> None:
    before = journal.events("dhclient-no-offers")
    command = r"printf 'No DHCPOFFERS received.\033[0m\377\001\n'"
    journal.host.run("systemd-run", "--quiet", "--wait", "--collect", "--unit=networking.service", "sh", "-c", command)
    journal.counted("dhclient-no-offers", int(before) + 1)


@pytest.mark.fault(38)
def test_a_killed_journalctl_a_restarted_journald_and_a_vacuumed_journal_lose_no_entry(journal: LogsInContainer) -> None:
    before = int(journal.events("dhclient-no-offers"))
    journal.write_as_unit("networking.service", NO_OFFERS)
    journal.counted("dhclient-no-offers", before + 1)
    (child,) = wait(journal.journalctl, "journalctl")
    os.kill(child, signal.SIGKILL)
    journal.write_as_unit("networking.service", NO_OFFERS)
    journal.counted("dhclient-no-offers", before + 2)
    assert journal.value("vitald_log_journal_restarts_total") >= 1
    journal.host.run("systemctl", "restart", "systemd-journald")
    journal.write_as_unit("networking.service", NO_OFFERS)
    journal.counted("dhclient-no-offers", before + 3)
    journal.service.systemctl("stop")
    journal.host.run("journalctl", "--rotate")
    journal.host.run("journalctl", "--vacuum-time=1s", "--vacuum-files=1")
    time.sleep(1.1)  # entries younger than a second are kept
    journal.host.run("journalctl", "--rotate", "--vacuum-time=1s", "--vacuum-files=1")
    journal.service.systemctl("start")
    journal.write_as_unit("networking.service", NO_OFFERS)
    journal.counted("dhclient-no-offers", before + 4)


@pytest.mark.fault(38)
def test_where_there_is_no_journalctl_files_are_read(logs: LogsInContainer) -> None:
    program = logs.host.file("/usr/bin/journalctl")
    program.rename(program.with_name("journalctl.away"))
    try:
        logs.settings('kmsg = "off"')
        assert logs.value('vitald_log_source_available{reason="missing",source="journal"}') == 0
        assert logs.value('vitald_log_source_reads{origin="programs",source="files"}') == 1
        before = int(logs.events("dhclient-no-offers"))  # there may be older lines
        logs.host.run("logger", "-t", "dhclient[7]", NO_OFFERS)  # through journald and rsyslog into /var/log/syslog
        logs.counted("dhclient-no-offers", before + 1)
    finally:
        program.with_name("journalctl.away").rename(program)


@pytest.mark.fault(38)
def test_while_the_journal_is_unavailable_files_are_read_and_nothing_is_counted_twice(logs: LogsInContainer) -> None:
    """journalctl is removed while the daemon runs and restored; rsyslog writes the same messages to a file all the time."""
    logs.host.write("/etc/rsyslog.d/fallback.conf", 'if $programname == "dhclient" then /var/log/fallback.log\n')
    logs.host.run("sh", "-c", "touch /var/log/fallback.log; chown root:adm /var/log/fallback.log; chmod 640 /var/log/fallback.log")
    logs.host.run("systemctl", "restart", "rsyslog")
    logs.settings('kmsg = "off"\nfiles = ["/var/log/fallback.log"]')
    before, program = int(logs.events("dhclient-no-offers")), logs.host.file("/usr/bin/journalctl")
    reads = 'vitald_log_source_reads{origin="programs",source="%s"}'

    def write_message() -> None:
        logs.host.run(
            "systemd-run", "--quiet", "--wait", "--collect", "--unit=networking.service", "logger", "-t", "dhclient[7]", NO_OFFERS
        )

    write_message()
    logs.counted("dhclient-no-offers", before + 1)
    program.rename(program.with_name("journalctl.away"))
    try:
        for pid in logs.journalctl():
            os.kill(pid, signal.SIGKILL)
        wait(lambda: logs.value(reads % "files") == 1, "programs' lines to be read from files")
        assert logs.value('vitald_log_source_available{reason="missing",source="journal"}') == 0
        write_message()
        logs.counted("dhclient-no-offers", before + 2)
    finally:
        program.with_name("journalctl.away").rename(program)
    wait(lambda: logs.value(reads % "journal") == 1, "the journal to be read again", 60)
    write_message()
    logs.counted("dhclient-no-offers", before + 3)
    time.sleep(2)
    assert logs.events("dhclient-no-offers") == before + 3


@pytest.mark.fault(152, 166)
def test_what_a_user_writes_to_the_journal_is_not_a_programs_word(logs: LogsInContainer) -> None:
    """With real journald, in the shipped sandbox: there vitald sees the machine's boot ID, and journald in the container its own.

    A user takes the name of a program (prctl(2)), its tag, and the kernel's; the genuine message afterwards is counted, once.
    """
    logs.settings('kmsg = "off"\njournal = "on"\nfiles = []', sandbox="[Service]\n")
    wait(lambda: "journal has another boot ID" in everything(logs), "the notice of the boot ID")
    before, panics = int(logs.events("dhclient-no-offers")), logs.events("kernel-panic")
    logs.host.write("/tmp/forge.py", FORGE)
    logs.host.run("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "python3", "/tmp/forge.py")
    logs.host.run("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "logger", "-t", "kernel", "-p", "kern.crit", PANIC)
    logs.host.run("logger", "-t", "kernel", "-p", "kern.crit", PANIC)
    wait(lambda: everything(logs).count(PANIC) >= 3, "the forged entries in the journal")
    logs.write_as_unit("networking.service", NO_OFFERS)
    logs.counted("dhclient-no-offers", before + 1)
    assert logs.events("kernel-panic") == panics


def everything(logs: LogsInContainer) -> str:
    return logs.host.run("journalctl", "--no-pager", "--output=cat").stdout


@pytest.mark.fault(8)
def test_rsyslog_and_logrotate_lose_no_line(logs: LogsInContainer) -> None:
    logs.host.write("/etc/vitald/signatures.d/own.toml", '[[signature]]\nid = "numbered"\npattern = "numbered line [0-9]+$"\n')
    logs.settings('kmsg = "off"\njournal = "off"\nfiles = ["/var/log/syslog"]')
    lines = 3000
    send = f"""
import socket, time
s = socket.socket(1, 2); s.connect("/run/systemd/journal/syslog" if 0 else "/dev/log")
for n in range({lines}):
    s.send(b"<30>app[7]: numbered line %d" % n)
    time.sleep(0.001)
"""
    logs.host.write("/etc/systemd/journald.conf.d/no-limit.conf", "[Journal]\nRateLimitBurst=0\n")
    logs.host.run("systemctl", "restart", "systemd-journald")
    logs.host.write("/tmp/send.py", send)
    logs.host.run("systemd-run", "--quiet", "--unit=numbers", "python3", "/tmp/send.py")
    for _ in range(4):
        time.sleep(0.7)  # let the writer go on
        logs.host.run("logrotate", "--force", "/etc/logrotate.d/rsyslog")
    wait(lambda: logs.host.run("systemctl", "is-active", "numbers", check=False).stdout.strip() == "inactive", "the writer's end", 60)
    written = "zcat -f /var/log/syslog* | grep -c 'numbered line'"
    wait(lambda: int(logs.host.run("sh", "-c", written, check=False).stdout) >= lines, "rsyslog to write it all", 60)
    logs.counted("numbered", lines)
    assert logs.value("vitald_log_lost_total") == 0


@pytest.mark.fault(39)
def test_the_last_lines_before_a_reboot_are_read_after_it(journal: LogsInContainer, tmp_path: Path) -> None:
    """nspawn does not reboot in place, so a second container boots with the first one's journal and state."""
    before = journal.events("dhclient-no-offers")  # other tests wrote to this journal
    journal.write_as_unit("networking.service", NO_OFFERS)
    journal.counted("dhclient-no-offers", int(before) + 1)
    counted = int(before) + 1
    journal.service.systemctl("stop")
    journal.write_as_unit("networking.service", NO_OFFERS)
    journal.host.run("journalctl", "--sync")
    journal.host.run("journalctl", "--rotate")
    entries = list(journal.host.file("/var/log/journal").glob("*/system@*.journal"))
    assert entries
    for file in entries:
        shutil.copy(file, tmp_path)
    shutil.copy(journal.host.file("/var/lib/vitald/logs.json"), tmp_path)
    with Container() as host:
        host.install()
        logs = LogsInContainer(Service(host))
        logs.settings('kmsg = "off"\njournal = "on"\nfiles = []')
        logs.service.systemctl("stop")
        machine = host.run("cat", "/etc/machine-id").stdout.strip()
        for file in entries:
            shutil.copy(tmp_path / file.name, host.file(f"/var/log/journal/{machine}/{file.name}"))
        shutil.copy(tmp_path / "logs.json", host.file("/var/lib/vitald/logs.json"))
        host.run("sh", "-c", f"chown vitald: /var/lib/vitald/logs.json && chgrp systemd-journal /var/log/journal/{machine}/*")
        host.run("sh", "-c", f"chmod g+r /var/log/journal/{machine}/*")
        logs.service.systemctl("start")
        logs.counted("dhclient-no-offers", counted + 1)

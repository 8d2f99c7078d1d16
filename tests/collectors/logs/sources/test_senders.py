"""Who wrote a line: what of an entry of the journal or of a line in a file is proof of its sender, and what anybody can choose."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from collectors.logs.scan.journal_export import match_entries
from collectors.logs.sources.journal_entry import JournalEntry, parse
from collectors.logs.sources.own_lines import own_unit, unit_of

if TYPE_CHECKING:
    from collectors.logs.matching.matcher import Matcher
    from collectors.logs.matching.packs import Packs
    from tests.collectors.logs.conftest import LogsLab

HOST = os.uname().nodename
PANIC = "Kernel panic - not syncing: Fatal exception"
NAK = "DHCPNAK from 192.168.2.1"


def entry(message: str = NAK, **fields: str) -> JournalEntry:
    made = parse(json.dumps({"MESSAGE": message, "__REALTIME_TIMESTAMP": "1000000", **fields}).encode())
    assert made is not None
    return made


@pytest.mark.fault(152)
@pytest.mark.parametrize(
    ("fields", "believed"),
    [
        ({"_COMM": "dhclient", "_UID": "0", "_EXE": "/usr/sbin/dhclient", "_SYSTEMD_UNIT": "ifup@eth0.service"}, True),
        ({"_COMM": "dhclient", "_UID": "0"}, True),  # it ended before journald looked at its executable
        ({"_COMM": "dhclient", "_UID": "0", "_EXE": "/usr/sbin/dhclient (deleted)"}, True),  # upgraded while it ran
        ({"_COMM": "dhclient", "_UID": "0", "_EXE": "/usr/bin/bash"}, True),  # a script of root
        ({"_COMM": "dhclient", "_UID": "0", "_EXE": "/usr/sbin/dhclient", "_SYSTEMD_UNIT": "session-3.scope"}, True),  # run by hand
        ({"_COMM": "dhclient", "_UID": "1000", "_EXE": "/usr/sbin/dhclient"}, False),  # prctl(PR_SET_NAME)
        ({"_COMM": "dhclient", "_EXE": "/usr/sbin/dhclient"}, False),
        ({"_COMM": "dhclient", "_UID": "0", "_EXE": "/usr/bin/sudo"}, False),  # `ln -s /usr/bin/sudo dhclient; ./dhclient "DHCPNAK …"`
        ({"_COMM": "dhclient", "_UID": "0", "_SYSTEMD_UNIT": "session-3.scope"}, False),  # the same, gone before journald looked
        ({"_COMM": "dhclient", "_UID": "0", "_SYSTEMD_UNIT": "user@1000.service"}, False),
        ({"SYSLOG_IDENTIFIER": "dhclient", "_COMM": "logger", "_UID": "0"}, False),
        ({"SYSLOG_IDENTIFIER": "dhclient", "_COMM": "logger", "_UID": "1000"}, False),
        ({"_COMM": "x", "_UID": "1000", "_SYSTEMD_UNIT": "user@1000.service", "_SYSTEMD_USER_UNIT": "networking.service"}, False),
        ({"_TRANSPORT": "kernel", "SYSLOG_FACILITY": "0"}, False),
    ],
)
def test_a_programs_word_needs_its_unit_or_its_executable_and_a_system_user(packs: Packs, fields: dict[str, str], believed: bool) -> None:  # noqa: FBT001
    assert entry(**fields).allows(packs.by_id["dhclient-nak"]) is believed


@pytest.mark.fault(151)
@pytest.mark.parametrize(
    ("fields", "believed"),
    [
        ({"_TRANSPORT": "kernel", "SYSLOG_FACILITY": "0", "SYSLOG_IDENTIFIER": "kernel"}, True),
        ({"_TRANSPORT": "kernel"}, True),
        ({"_TRANSPORT": "kernel", "SYSLOG_FACILITY": "1"}, False),  # `echo "Kernel panic …" > /dev/kmsg`
        ({"_TRANSPORT": "kernel", "SYSLOG_FACILITY": "3", "SYSLOG_IDENTIFIER": "systemd"}, False),
        ({"_TRANSPORT": "syslog", "SYSLOG_FACILITY": "0", "SYSLOG_IDENTIFIER": "kernel", "_UID": "0"}, False),  # logger -t kernel -p kern
        ({"_TRANSPORT": "stdout", "_COMM": "kernel", "_UID": "0"}, False),
    ],
)
def test_only_the_kernels_own_records_are_the_kernels(packs: Packs, matcher: Matcher, fields: dict[str, str], believed: bool) -> None:  # noqa: FBT001
    assert entry(PANIC, **fields).allows(packs.by_id["kernel-panic"]) is believed
    exported = json.dumps({"MESSAGE": PANIC, "__REALTIME_TIMESTAMP": "1000000", **fields}).encode() + b"\n"
    assert bool(list(match_entries(matcher, exported))) is believed


@pytest.mark.fault(151)
def test_a_newline_in_a_kernel_record_begins_no_line_of_an_export(matcher: Matcher) -> None:
    message = f"a\n{PANIC}"[:15] + "[311]: segfault at 0 ip 0 sp 0 error 4 in x\n" + PANIC
    exported = json.dumps({"MESSAGE": message, "__REALTIME_TIMESTAMP": "1", "_TRANSPORT": "kernel", "SYSLOG_FACILITY": "0"}).encode()
    assert list(match_entries(matcher, exported + b"\n")) == []


@pytest.mark.fault(151)
@pytest.mark.root
@pytest.mark.skipif(not os.path.exists("/dev/kmsg") or not os.access("/dev/kmsg", os.W_OK), reason="needs a kernel log to write to")  # noqa: PTH110
def test_what_root_writes_to_the_kernel_log_has_another_facility(lab: LogsLab) -> None:
    """The kernel replaces facility 0 in what a program writes (kernel/printk/printk.c devkmsg_write)."""
    before = dict(lab.open(kmsg="/dev/kmsg").read().events)
    with open("/dev/kmsg", "w") as log:  # noqa: PTH123
        log.write(f"<0>{PANIC}\n")
    assert lab.read().events["kernel-panic"] == before["kernel-panic"]


PACK = """
[[signature]]
id = "quoted"
severity = "warning"
family = "kernel"
pattern = 'cannot reach database'
"""


@pytest.mark.fault(158)
def test_vitalds_own_lines_in_a_followed_file_are_not_matched(lab: LogsLab) -> None:
    lab.open(signature_dirs=(lab.pack(PACK),))
    quoted = 'level=warning msg="finding subject=kernel_log message=\\"appd[7]: cannot reach database db1\\""'
    lab.write(f"Jan 17 10:10:15 {HOST} appd[7]: cannot reach database db1")
    assert lab.counts()["quoted"] == 1
    for tag in (f"vitald[{os.getpid()}]", "vitald[1]", "vitald", "/opt/vitald/current/bin/vitald[77]"):
        lab.write(
            f"Jan 17 10:10:16 {HOST} {tag}: {quoted}",
            f"2024-01-17T10:10:16.000001+00:00 {HOST}.ec2.internal {tag}: {quoted}",
            f"Jan 17 10:10:16 {HOST.upper()} {tag}: message repeated 4 times: [ {quoted}]",
            f"vitald[{os.getpid()}]: {quoted}",
            f"<28>1 2024-01-17T10:10:16.000001+00:00 {HOST} vitald 7 - - {quoted}",
        )
    assert lab.counts()["quoted"] == 1
    lab.write(f"Jan 17 10:10:17 ip-10-9-9-9 vitald[{os.getpid()}]: {quoted}")  # another host's, in a central log
    assert lab.counts()["quoted"] == 2
    lab.write(f"Jan 17 10:10:17 {HOST} vitaldb[12]: cannot reach database db2")
    assert lab.counts()["quoted"] == 3


@pytest.mark.fault(158)
def test_vitalds_own_entries_of_the_journal_are_not_matched(packs: Packs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.logs.sources.own_lines.own_unit", lambda: "monitoring.service")
    source: Any = type(packs.by_id["dhclient-nak"].source)(comms=("vitald", "python3"), units=("vitald.service", "monitoring.service"))
    import msgspec  # noqa: PLC0415

    signature = msgspec.structs.replace(packs.by_id["dhclient-nak"], source=source)
    assert not entry(_COMM="vitald", _UID="990", _EXE="/usr/bin/python3.11").allows(signature)
    assert not entry(_COMM="python3", _UID="0", _SYSTEMD_UNIT="monitoring.service").allows(signature)  # a helper
    assert entry(_COMM="python3", _UID="0", _SYSTEMD_UNIT="other.service").allows(signature)


@pytest.mark.fault(158)
@pytest.mark.parametrize(
    ("groups", "unit"),
    [
        ("0::/system.slice/vitald.service\n", "vitald.service"),
        ("12:cpu:/\n1:name=systemd:/system.slice/vitald.service/helper\n0::/\n", "vitald.service"),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", ""),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/vitald.service\n", ""),
        ("0::/\n", ""),
        ("", ""),
        ("0::/docker/0123\n", ""),
    ],
)
def test_the_own_unit_is_the_one_of_the_own_cgroup(groups: str, unit: str) -> None:
    assert unit_of(groups) == unit
    assert own_unit() == unit_of(open("/proc/self/cgroup").read())  # noqa: PTH123, SIM115


@pytest.mark.fault(151)
@pytest.mark.needs("rsyslogd", "logger")
@pytest.mark.skipif(shutil.which("rsyslogd") is None, reason="CI installs rsyslog")
def test_a_line_that_real_rsyslog_writes_for_logger_is_never_the_kernels(lab: LogsLab, packs: Packs) -> None:
    """Anybody can choose tag, priority and text, a newline and a NUL in it, and so everything in a file but the host and the time."""
    folder = lab.folder
    (folder / "rsyslog.conf").write_text(
        f'module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="{folder}/log")\n'
        f'template(name="t" type="string" string="%TIMESTAMP% %HOSTNAME% %syslogtag%%msg:::sp-if-no-1st-sp%%msg:::drop-last-lf%\\n")\n'
        f'*.* action(type="omfile" file="{lab.syslog}" template="t")\n'
    )
    lab.open()
    rsyslog = subprocess.Popen(["rsyslogd", "-n", "-f", str(folder / "rsyslog.conf"), "-i", str(folder / "pid")])
    try:
        deadline = time.monotonic() + 20
        while not (folder / "log").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        kernel = [line for signature in packs.signatures if signature.source.kernel for line in signature.match]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.connect(str(folder / "log"))
            for line in (PANIC, *kernel):
                for text in (f"<0>kernel: {line}", f"<0>Jan 17 10:10:15 kernel: [   12.345678] {line}", f"<30>app: a\nkernel: {line}"):
                    log.send(text.encode())
            log.send(b"<30>last: done")
        while "last: done" not in (lab.syslog.read_text(errors="replace") if lab.syslog.exists() else ""):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        rsyslog.terminate()
        rsyslog.wait(20)
    text = lab.syslog.read_text(errors="replace")
    assert text.count(PANIC) >= 3
    assert "#012" in text  # a newline is escaped: it begins no line
    assert {name: count for name, count in lab.counts().items() if packs.by_id[name].source.kernel} == {}

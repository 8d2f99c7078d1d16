"""What is the kernel's in a line, and what only stands in it: headers of several formats, and texts that a local user chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collectors.logs.matching.header import split_header
from collectors.logs.matching.matcher import allow_kernel

if TYPE_CHECKING:
    from collectors.logs.matching.matcher import Matcher
    from collectors.logs.matching.packs import Packs

OOPS = b"BUG: kernel NULL pointer dereference, address: 0000000000000008"


@pytest.mark.fault(150)
@pytest.mark.parametrize(
    ("line", "program", "message"),
    [
        (b"[   12.345678] ip-10-0-0-56 kernel: " + OOPS, "kernel", OOPS),  # journalctl -o short-monotonic
        (b"[   12.345678] ip-10-0-0-56 systemd[1]: Reached target Basic System.", "systemd", b"Reached target Basic System."),
        (b"[Sun Dec  1 14:54:40 2024] ip-10-0-0-56 kernel: " + OOPS, "kernel", OOPS),
        (b"ip-10-0-0-56 kernel: [   12.345678] " + OOPS, "kernel", OOPS),
        (b"12:00:01 kernel: " + OOPS, "kernel", OOPS),
        (b"12:00:01.345 systemd[1]: Reached target Basic System.", "systemd", b"Reached target Basic System."),
        (b"[ 2491.403032] [    T240] " + OOPS, "kernel", OOPS),  # CONFIG_PRINTK_CALLER since 6.11
        (b"[ 2491.403032][    C1] " + OOPS, "kernel", OOPS),
        (b"Jan  1 00:53:57 ip-10-0-0-56 kern.alert kernel: [   12.345678] " + OOPS, "kernel", OOPS),  # BusyBox syslogd
        (b"Jan  1 00:53:57 ip-10-0-0-56 daemon.info dhcpcd[112]: eth0: carrier lost", "dhcpcd", b"eth0: carrier lost"),
        (b"1634475910.611261 ip-10-0-0-56 kernel: " + OOPS, "kernel", OOPS),  # journalctl -o short-unix
        (b"2025-04-14 11:26:19 ERR ip-10-0-0-56 kernel: " + OOPS, "kernel", OOPS),
        (b"Jun 18 10:10:06.585546 ip-10-0-0-56 EMERG kernel: [  669.047114] " + OOPS, "kernel", OOPS),
        (b"[ 4211.686621] <1>" + OOPS, "kernel", OOPS),  # crash(8), pstore
        (b"  " + OOPS, None, OOPS),
        (b"[   12.345678] traps: nginx[12] general protection fault ip:7f0 sp:7ff error:0 in nginx[400000+1000]", "kernel", None),
        (b"[   12.345678] TCP: request_sock_TCP: Possible SYN flooding on port 80. Sending cookies.", "kernel", None),
    ],
)
def test_the_program_and_the_message_of_a_line(line: bytes, program: str | None, message: bytes | None) -> None:
    header = split_header(line)
    assert header.program == program
    assert header.message == (line.partition(b"] ")[2] if message is None else message)


@pytest.mark.fault(150)
def test_a_name_that_a_user_chose_is_no_message_of_the_kernel(packs: Packs, matcher: Matcher) -> None:
    """The kernel prints names of files (up to 255 bytes), cgroups and commands (15) that any local user may choose."""
    kernel = [signature for signature in packs.signatures if signature.source.kernel]
    assert len(kernel) > 100
    believed = set()
    for signature in kernel:
        for line in signature.match:
            name = split_header(line.encode()).message.strip()
            for message in (
                b"a.out[311]: segfault at 0 ip 0000558140000000 sp 00007ffc0 error 4 in " + name + b"[558140000000+1000]",
                b"traps: a.out[311] trap invalid opcode ip:558140000000 sp:7ffc0 error:0 in " + name + b"[558140000000+1000]",
                b"overlayfs: upperdir is in-use as upperdir/workdir of another mount: /" + name,
                name[:15] + b"[311]: segfault at 0 ip 0000558140000000 sp 00007ffc0 error 4",
            ):
                believed |= {(match.signature.id, message) for match in matcher.match_block(message + b"\n", allow_kernel, bare=True)}
    assert not believed

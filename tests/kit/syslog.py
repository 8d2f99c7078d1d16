"""A big syslog file for the benches: what ordinary hosts write, and among it the packs' own samples at a rate we choose."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from collectors.logs.matching.packs import load

if TYPE_CHECKING:
    from pathlib import Path

SHARE = 0.001  # of all lines are faults
_BLOCK = 4000  # lines made one by one; the file repeats a hundred such blocks, each with faults of its own
_HOST = "ip-10-0-0-56"
_USUAL = [
    line.replace("TS", "2024-03-05T10:{m}:{s}Z")
    for line in r"""
sshd[{pid}]: Accepted publickey for deploy from 10.0.{b}.{c} port {port} ssh2: ED25519 SHA256:{hex}{hex}{hex}
sshd[{pid}]: pam_unix(sshd:session): session opened for user deploy(uid=1000) by (uid=0)
sshd[{pid}]: Received disconnect from 10.0.{b}.{c} port {port}:11: disconnected by user
systemd[1]: Started session-{pid}.scope - Session {pid} of User deploy.
systemd[1]: Starting sysstat-collect.service - system activity accounting tool...
systemd[1]: sysstat-collect.service: Deactivated successfully.
systemd-logind[612]: New session {pid} of user deploy.
CRON[{pid}]: (root) CMD (command -v debian-sa1 > /dev/null && debian-sa1 1 1)
postfix/smtp[{pid}]: {hex}: to=<user{port}@example.org>, relay=mx{c}.example.org[10.1.{b}.{c}]:25, dsn=2.0.0, status=sent (250 2.0.0 Ok)
postfix/qmgr[901]: {hex}: from=<noreply@example.org>, size={port}, nrcpt=1 (queue active)
nginx[{pid}]: 10.0.{b}.{c} - - "GET /api/v1/orders/{port}?page={b} HTTP/1.1" 200 {pid} "-" "Mozilla/5.0 (X11; Linux x86_64)"
app[{pid}]: level=info ts=TS caller=handler.go:{c} msg="request done" id={hex} status=200 duration=0.{port}s
app[{pid}]: level=warn ts=TS caller=retry.go:{c} msg="retrying upstream" id={hex} attempt={b} error="deadline exceeded"
kernel: [{pid}.{port}] docker0: port {b}(veth{hex}) entered blocking state
kernel: [{pid}.{port}] audit: type=1400 audit(1709632{pid}.{c}:{b}): apparmor="ALLOWED" operation="open" pid={pid}
kernel: [{pid}.{port}] IPv6: ADDRCONF(NETDEV_UP): veth{hex}: link is not ready
dhclient[694]: XMT: Solicit on eth0, interval {pid}ms.
chronyd[540]: Source 10.0.{b}.{c} replaced with 10.0.{c}.{b}
dockerd[733]: time="TS" level=info msg="ignoring event" container={hex}{hex}{hex}{hex} module=libcontainerd
kubelet[1203]: I0305 10:{m}:{s}.{port} 1203 reconciler_common.go:{c}] "VerifyControllerAttachedVolume started" pod={hex}
""".strip().splitlines()
]


def write(file: Path, size: int, *, seed: int = 5) -> tuple[int, int]:
    """Write about `size` bytes of RFC 3164 lines; return (lines, faults among them). The same seed gives the same file."""
    rng = random.Random(seed)  # noqa: S311 — a seed, not a secret
    samples = [line.encode() for signature in load(samples=True).signatures for line in signature.match]
    usual = [_line(rng) for _ in range(_BLOCK * 25)]
    lines = faults = written = 0
    with file.open("wb") as out:
        while written < size:
            block = rng.sample(usual, _BLOCK)
            places = rng.sample(range(_BLOCK), round(_BLOCK * SHARE))
            for place in places:
                block[place] = rng.choice(samples)
            written += out.write(b"\n".join(block) + b"\n")
            lines, faults = lines + _BLOCK, faults + len(places)
    return lines, faults


def usual(rng: random.Random) -> str:
    """Make one ordinary line: the program's tag, and what it says."""
    values = {
        "pid": rng.randrange(1000, 32768), "port": rng.randrange(10000, 65536), "b": rng.randrange(10, 100), "c": rng.randrange(100, 250),
        "hex": f"{rng.getrandbits(40):010x}", "m": f"{rng.randrange(60):02}", "s": f"{rng.randrange(60):02}",
    }  # fmt: skip
    return rng.choice(_USUAL).format(**values)


def _line(rng: random.Random) -> bytes:
    return f"Mar  5 10:{rng.randrange(60):02}:{rng.randrange(60):02} {_HOST} {usual(rng)}".encode()

"""A host behind a tun device, 10.78.0.2, that answers every first SYN after as many milliseconds as the port says, and no other.

RFC 9293 3.5 and RFC 7323 3.2: the SYN-ACK echoes the first SYN's timestamp. Says "ready".
"""

from __future__ import annotations

import fcntl
import heapq
import os
import select
import struct
import subprocess
import sys
import time


def main() -> None:
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH14x", b"slow", 0x0001 | 0x1000))  # TUNSETIFF, IFF_TUN | IFF_NO_PI
    subprocess.run(["ip", "addr", "add", "10.78.0.1", "peer", "10.78.0.2", "dev", "slow"], check=True)
    subprocess.run(["ip", "link", "set", "slow", "up"], check=True)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    answers: list[tuple[float, bytes]] = []
    seen = set()
    while True:
        wait = max(0.0, answers[0][0] - time.monotonic()) if answers else None
        if select.select([tun], [], [], wait)[0]:
            packet = os.read(tun, 2000)
            flow = packet[20:24]
            if packet[0] == 0x45 and packet[9] == 6 and packet[33] & 0x12 == 0x02 and flow not in seen:
                seen.add(flow)
                heapq.heappush(answers, (time.monotonic() + int.from_bytes(packet[22:24]) / 1000, _syn_ack(packet)))
        while answers and answers[0][0] <= time.monotonic():
            os.write(tun, heapq.heappop(answers)[1])


def _syn_ack(syn: bytes) -> bytes:
    source, port = syn[22:24], syn[20:22]
    sequence = int.from_bytes(syn[24:28])
    offset = syn.index(b"\x08\x0a", 40)  # the timestamp option among those behind the header
    options = b"\x02\x04\x05\xb4" + b"\x01\x01\x08\x0a" + struct.pack("!I", 1) + syn[offset + 2 : offset + 6]
    segment = source + port + struct.pack("!IIBBHHH", 7, (sequence + 1) & 0xFFFFFFFF, (20 + len(options)) << 2, 0x12, 65535, 0, 0) + options
    pseudo = syn[16:20] + syn[12:16] + struct.pack("!BBH", 0, 6, len(segment))
    segment = segment[:16] + _checksum(pseudo + segment) + segment[18:]
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0, 64, 6, 0, syn[16:20], syn[12:16])
    return header[:10] + _checksum(header) + header[12:] + segment


def _checksum(data: bytes) -> bytes:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


if __name__ == "__main__":
    main()

"""Watches SYNs that arrive in its namespace and sends forged, late and doubled answers for them. Says "ready".

Port 80: SYN-ACKs that acknowledge something else, one from another port; a RST without ACK. Port 81: besides the kernel's true answer, ICMP
"too big" and "time exceeded" that quote a wrong sequence number. Port 82: the true SYN-ACK three times, the last one late.
"""

from __future__ import annotations

import socket
import sys
from threading import Timer

from scapy.layers.inet import ICMP, IP, TCP


def main() -> None:
    heard = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        syn = IP(heard.recv(65536))
        if TCP not in syn or syn[TCP].flags != "S":
            continue
        for packet, wait in forged_packets(syn):  # a late one delays no answer to another SYN
            Timer(wait, out.sendto, (bytes(packet), (syn.src, 0))).start()


def forged_packets(syn: IP) -> list[tuple[IP, float]]:
    tcp = syn[TCP]
    back = IP(src=syn.dst, dst=syn.src)
    right = back / TCP(sport=tcp.dport, dport=tcp.sport, flags="SA", seq=7, ack=(tcp.seq + 1) & 0xFFFFFFFF)
    if tcp.dport == 80:
        wrong = [right.copy() for _ in range(4)]
        wrong[0][TCP].ack = (tcp.seq - 1) & 0xFFFFFFFF
        wrong[1][TCP].ack = (tcp.seq + 70000) & 0xFFFFFFFF
        wrong[2][TCP].sport = 8080
        wrong[3][TCP].flags = "R"
        return [(packet, 0.0) for packet in wrong]
    if tcp.dport == 81:
        quoted = IP(bytes(syn)[:40])
        quoted[TCP].seq = (tcp.seq + 1) & 0xFFFFFFFF
        router = IP(src="10.98.2.1", dst=syn.src)
        return [(router / ICMP(type=3, code=4, nexthopmtu=600) / bytes(quoted), 0.0), (router / ICMP(type=11) / bytes(quoted), 0.0)]
    return [(right, 0.0), (right, 0.0), (right, 0.3)] if tcp.dport == 82 else []


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-2.0-or-later
"""Scapy helper: sends crafted SYNs. A program of its own, since scapy is GPL-2.0 and takes 34 MB.

Run as `python -Im collectors.packets.scapy_helper RATE SECONDS`. It imports nothing else of vitald, needs CAP_NET_RAW, and runs for one
round: until its input ends and all probes are answered, at most SECONDS. One JSON object per line is read for each SYN, one is written for
each answer. `sockets` sends and timestamps, `round` matches answers and computes round trips:

    {"id": 1, "flow": 1, "source": "10.0.0.1", "target": "10.0.0.2", "port": 22, "size": 9001, "mss": 8961, "ttl": 64,
     "tries": 3, "wait": 0.2}
    {"id": 1, "kind": "syn_ack", "sender": "10.0.0.2", "rtt": 187, "mss": 1460, "mtu": 0, "hops": 64, "code": 0, "tries": 1, "error": 0}

`size` is the whole IP packet in bytes, 0 for a bare SYN; the same SYN is sent `tries` times, `wait` seconds apart, at most RATE packets
per second. Probes of one `flow` share port and sequence number; the flow ends with the first one without `"keep": true`.
`kind` is `syn_ack`, `reset`, `too_big` (from a router, with its `mtu`), `expired` (TTL), `unreachable` (with ICMP's `code`), `silent`, or
`local` (`error` is the errno with which this host refused to send). `rtt` is in µs from the last try, by the kernel's timestamp at arrival.
The first line is {"ready": true}, or {"fatal": errno, "detail": ...}.

Each flow's source port (chosen by the kernel, so no other socket has it) is held by a listener that accepts only packets with a TTL of 255
(IP_MINTTL): tcp_v4_rcv() finds a socket for the SYN-ACK, drops it, and sends no RST. The helper sends the RST itself, with or without an
answer, so that the peer keeps no half-open connection. (A socket filter would do as well, but Linux 6.18 lets only CAP_NET_ADMIN attach one
to a TCP socket.) Answers are read before netfilter: an answer that this host's firewall drops is still an answer.
"""

# SPDX-License-Identifier: GPL-2.0-or-later
"""Crafted SYNs: `python -Im collectors.packets.scapy_helper RATE SECONDS`, a program of its own, since scapy is GPL-2.0 and takes 34 MB.

It imports nothing else of vitald's, needs CAP_NET_RAW, and lives for one round: until its input ends and all is answered, SECONDS at most.
One JSON object a line comes in for each SYN wanted, one goes out for each answer:

    {"id": 1, "flow": 1, "source": "10.0.0.1", "target": "10.0.0.2", "port": 22, "size": 9001, "mss": 8961, "ttl": 64,
     "tries": 3, "wait": 0.2}
    {"id": 1, "kind": "syn_ack", "sender": "10.0.0.2", "rtt": 187, "mss": 1460, "mtu": 0, "hops": 64, "code": 0, "tries": 1, "error": 0}

`size` is the whole IP packet in bytes, 0 for a bare SYN; the same SYN leaves `tries` times, `wait` seconds apart, not above RATE packets
a second. Orders of one `flow` share port and sequence number, as if sent again; the flow ends with the first without `"keep": true`.
`kind` is `syn_ack`, `reset`, `too_big` (a router's, with its `mtu`), `expired` (on the way), `unreachable` (with ICMP's `code`), `silent`,
or `local` (`error` is the errno of this host's own no). `rtt` is in µs from the last try, by the kernel's clock at arrival. The first line
is {"ready": true}, or {"fatal": errno, "detail": ...}.

Nothing of the host's is disturbed: each flow's source port is held (the kernel's choice, so nobody else has it) by a listener that takes
only packets with a TTL of 255 (IP_MINTTL): tcp_v4_rcv() finds an owner for the SYN-ACK, drops it, and sends no RST of its own. Ours goes
out, with or without an answer, and the peer is left no half-open connection. (A filter on the listener would do as well, but Linux 6.18
lets only CAP_NET_ADMIN attach one to a TCP socket.) Answers are read before netfilter: what our own firewall drops is no silence.
"""

"""Listen on the given ports, print "ready", run until killed: "80", "80:full", "80:silent", "80:talks"; for port 0 the kernel chooses one.

The ports in use are printed before "ready".
"""

from __future__ import annotations

import select
import socket
import sys


def main(orders: list[str]) -> None:
    kept, accepting, talking, ports = [], [], set(), []
    for order in orders:
        port, _, manner = order.partition(":")
        listener = socket.create_server(
            ("::", int(port)), family=socket.AF_INET6, dualstack_ipv6=True, backlog=0 if manner == "full" else 512
        )
        ports.append(listener.getsockname()[1])
        kept.append(listener)
        if manner == "full":  # a backlog of 0 holds one connection; nobody takes it
            kept.append(socket.create_connection(("127.0.0.1", ports[-1])))
        else:
            accepting.append(listener)
        if manner == "talks":
            talking.add(listener)
    sys.stdout.write(f"{' '.join(map(str, ports))} ready\n")
    sys.stdout.flush()
    held = []
    while True:
        for listener in select.select(accepting, [], [])[0]:
            connection, _ = listener.accept()
            if listener in talking:
                connection.send(b"220 welcome\r\n" * 20)
            held.append(connection)
            del held[:-100]


if __name__ == "__main__":
    main(sys.argv[1:])

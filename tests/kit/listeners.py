"""The probes' targets: accepts on COUNT loopback addresses and hangs up at once. `python tests/kit/listeners.py COUNT PORT`."""

from __future__ import annotations

import resource
import selectors
import socket
import sys


def addresses(count: int) -> list[str]:
    """Return `count` addresses of loopback, 127.0.1.1 and on; Linux has them all without configuration."""
    return [f"127.0.{1 + index // 250}.{1 + index % 250}" for index in range(count)]


def main() -> None:
    """Serve until killed."""
    count, port = int(sys.argv[1]), int(sys.argv[2])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))
    selector = selectors.EpollSelector()
    for address in addresses(count):
        listener = socket.create_server((address, port), backlog=128)
        listener.settimeout(0)
        selector.register(listener, selectors.EVENT_READ, listener)
    while True:
        for key, _ in selector.select():
            try:
                connection, _ = key.data.accept()
            except OSError:  # reset before we came to it
                continue
            connection.close()


if __name__ == "__main__":
    main()

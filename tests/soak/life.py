"""Changes around the daemon during a soak: a log that is written and rotated, targets and links that are added and removed."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.network import Network

_LINES = (
    'Nov 21 18:00:00 host app[77]: level=info msg="request done" status=200\n'
    "Nov 21 18:00:00 host dhclient[694]: DHCPREQUEST for 10.0.0.5 on eth0 to 10.0.0.1 port 67\n"
    "Nov 21 18:00:00 host dhclient[694]: No DHCPOFFERS received.\n"
)
_KEPT = 4  # rotated files
_FEW = 3  # targets, links


class Life:
    """The files and links that the daemon watches."""

    def __init__(self, network: Network, folder: Path) -> None:
        self._network, self._folder = network, folder
        self.log, self.targets = folder / "app.log", folder / "targets.json"
        self._listener = network.call(socket.create_server, ("0.0.0.0", 0), backlog=128)
        self._port = self._listener.getsockname()[1]
        self.lasting = f"127.0.0.1:{self._port}"
        threading.Thread(target=self._serve, daemon=True).start()
        self._open = self.log.open("a")
        self.rotations = self.changes = 0
        self.change_targets()

    def _serve(self) -> None:
        while True:
            try:
                self._listener.accept()[0].close()
            except ConnectionError:  # reset before we came to it, as every probe does
                continue
            except OSError:
                return

    def write(self) -> None:
        """Write a few lines, ordinary ones and one that a signature knows."""
        self._open.write(_LINES)
        self._open.flush()

    def rotate(self) -> None:
        """Rotate as logrotate does; by turns with a new file, and by copying and emptying the old one."""
        for number in range(_KEPT, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                (self._folder / f"app.log.{number}").replace(self._folder / f"app.log.{number + 1}")
        first = self._folder / "app.log.1"
        if self.rotations % 2:
            first.write_bytes(self.log.read_bytes())
            self._open.truncate(0)
        else:
            self.log.replace(first)
            self._open.close()
            self._open = self.log.open("a")
        self.rotations += 1

    def change_targets(self) -> None:
        """Replace the targets by loopback addresses that were never used before, one of them closed."""
        self.changes += 1
        named = [f"127.{1 + self.changes // 250 % 250}.{1 + self.changes % 250}.{last}:{self._port}" for last in range(1, _FEW)]
        new = self._folder / "targets.new"
        new.write_text(json.dumps([{"targets": [*named, "127.0.0.1:1"]}]))
        new.replace(self.targets)

    def change_links(self) -> None:
        """Delete the oldest interface and create one with a new name."""
        self.changes += 1
        self._network.run("ip", "link", "add", f"soak{self.changes}", "type", "bridge")
        self._network.run("ip", "link", "set", f"soak{self.changes}", "up")
        names = self._network.run("ip", "-o", "link", "show", "type", "bridge").split()
        ours = [name.rstrip(":") for name in names if name.startswith("soak")]
        for name in sorted(ours, key=lambda name: int(name[4:]))[:-_FEW]:
            self._network.run("ip", "link", "del", name)

    def close(self) -> None:
        """Stop serving, close the log."""
        self._open.close()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

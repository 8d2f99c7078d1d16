"""Service notifications to systemd: sd_notify(3), one datagram each to `$NOTIFY_SOCKET`."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections import deque

_MAX_UNSENT = 8  # messages; the newest are kept


class Notifier:
    """Notifications to the service manager, such as `READY=1` and `STOPPING=1`; no effect without one. May be used from any thread.

    What cannot be sent (no descriptor, a manager that is re-executing itself) is sent at the next notification or watchdog ping: without a
    READY=1 systemd kills the service after TimeoutStartSec.
    """

    def __init__(self) -> None:
        address = os.environ.pop("NOTIFY_SOCKET", "")  # popped, so that no child process inherits it
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._status = ""
        self._unsent: deque[str] = deque(maxlen=_MAX_UNSENT)
        self._lock = threading.Lock()
        self.watchdog_seconds = _watchdog_seconds()

    def reloading(self) -> None:
        """Notify that a reload begins; Type=notify-reload requires `MONOTONIC_USEC` (systemd ≥ 253)."""
        self.send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def watchdog(self) -> None:
        """Ping the watchdog, and send what could not be sent. To be called from the scheduler's thread only."""
        with self._lock:
            self._send_unsent()
            if self._address and self.watchdog_seconds and not self._unsent:
                with contextlib.suppress(OSError):  # the next ping is in time
                    self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Set the status line of `systemctl status`; sent only if it changed."""
        if text != self._status:
            self._status = text
            self.send(f"STATUS={text}")

    def send(self, message: str) -> None:
        """Send one datagram, after those that could not be sent."""
        if self._address:
            with self._lock:
                self._unsent.append(message)
                self._send_unsent()

    def _send_unsent(self) -> None:
        with contextlib.suppress(OSError):  # a full or closed socket must not stop the daemon
            while self._unsent:
                self._send(self._unsent[0])
                self._unsent.popleft()

    def _send(self, message: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as channel:
            channel.sendto(message.encode("utf-8", "replace"), self._address)


def _watchdog_seconds() -> float:
    """Return the watchdog period of this process in seconds, 0 without one (sd_watchdog_enabled(3))."""
    period, pid = os.environ.pop("WATCHDOG_USEC", ""), os.environ.pop("WATCHDOG_PID", "")
    if not period.isdecimal() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(period) / 1e6

"""Words to systemd: sd_notify(3)'s protocol, one datagram to `$NOTIFY_SOCKET`."""

from __future__ import annotations

import os
import socket
import time


class Notifier:
    """Tells the service manager how we are; says nothing where there is none."""

    def __init__(self) -> None:
        address = os.environ.pop("NOTIFY_SOCKET", "")  # popped: no child of ours speaks for us
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._status = ""
        self.watchdog_seconds = _watchdog_seconds()

    def ready(self) -> None:
        """Say that the start, or a reload, is done."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Say that settings are being read again; `MONOTONIC_USEC` is what Type=notify-reload waits for (systemd ≥ 253)."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that we are on our way out."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog. To be called from the scheduler's own thread and from nowhere else."""
        if self.watchdog_seconds:
            self._send("WATCHDOG=1")

    def status(self, words: str) -> None:
        """Set the line that `systemctl status` shows; said only when it changed."""
        if words != self._status:
            self._status = words
            self._send(f"STATUS={words}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as channel:
                channel.sendto(message.encode("utf-8", "replace"), self._address)
        except OSError:
            pass  # a manager that does not listen must not stop us; a missed watchdog speaks for itself


def _watchdog_seconds() -> float:
    """Give the time within which systemd wants to hear from this process, in seconds, or 0 (sd_watchdog_enabled(3))."""
    period, pid = os.environ.pop("WATCHDOG_USEC", ""), os.environ.pop("WATCHDOG_PID", "")
    if not period.isdecimal() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(period) / 1e6

"""Signals as bytes on a socket, and an end that comes in time whatever hangs."""

from __future__ import annotations

import faulthandler
import os
import signal
import socket

STOP_SECONDS = 4.5  # systemd and people get an answer within 5
ENDS = {signal.SIGTERM, signal.SIGINT}


def catch_signals() -> socket.socket:
    """Turn signals into bytes on a socket, each byte a signal's number.

    Not by Python's handlers alone: the kernel may deliver a signal to any thread, and a main thread that sleeps on a lock does not
    notice that (signal(7), Python's signal.set_wakeup_fd).
    """
    reader, writer = socket.socketpair()
    os.set_blocking(writer.fileno(), False)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _caught)
    return reader


def _caught(number: int, _frame: object) -> None:
    if number in ENDS:
        faulthandler.dump_traceback_later(STOP_SECONDS, exit=True)  # whatever hangs on the way out is named, and left behind

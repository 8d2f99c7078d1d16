"""glibc's malloc, told that this process is small."""

from __future__ import annotations

import contextlib

_M_ARENA_MAX = -8  # malloc.h, mallopt(3)


def one_arena() -> None:
    """Let all threads share one malloc arena.

    By default each gets one of its own, and what was freed in one is of no use to another: memory that seems to leak for an hour, for
    threads that wait for the GIL anyway. To be called before there are threads.
    """
    with contextlib.suppress(ImportError, AttributeError, OSError):  # a Python without ctypes, another libc
        import ctypes  # noqa: PLC0415 — 0.4 MB, paid where CAP_NET_RAW is set aside, too; commands need neither

        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)

"""glibc's malloc, told that this process is small. Nothing here matters to another libc, or to a Python without ctypes."""

from __future__ import annotations

import contextlib

_M_ARENA_MAX = -8  # malloc.h, mallopt(3)


def one_arena() -> None:
    """Let all threads share one malloc arena.

    By default each gets one of its own, and what was freed in one is of no use to another: memory that seems to leak for an hour, for
    threads that wait for the GIL anyway. To be called before there are threads.
    """
    _call("mallopt", _M_ARENA_MAX, 1)


def give_back() -> None:
    """Return the pages of freed memory to the kernel, those between what is still in use too (malloc_trim(3)).

    A scrape's body, a Reading, a table grown by one row: each leaves a hole a little too small for the next, and the heap creeps on.
    """
    _call("malloc_trim", 0)


def _call(name: str, *arguments: int) -> None:
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import ctypes  # noqa: PLC0415 — 0.4 MB, paid where CAP_NET_RAW is set aside, too; commands need neither

        getattr(ctypes.CDLL(None), name)(*arguments)

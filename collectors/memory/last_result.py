"""One-entry cache of pure functions."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


def last_result(function: Callable[P, T]) -> Callable[P, T]:
    """Return the function with its last result kept: the same arguments are computed once, whichever thread asks.

    Not functools.lru_cache: a reading holds mappings and has no hash, and hashing a window of 720 points would cost more than most of
    what is computed from it. Arguments that are the same objects are equal without a comparison of their contents.
    """
    last: tuple[tuple[Any, ...], T] | None = None

    @wraps(function)
    def cached(*args: P.args, **kwargs: P.kwargs) -> T:
        nonlocal last
        known = last  # once: another thread may replace it
        if known is None or known[0] != (args, kwargs):
            known = last = ((args, kwargs), function(*args, **kwargs))
        return known[1]

    return cached

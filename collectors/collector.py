"""What a collector is: what `read()`, `judge()` and `measure()` promise to those who run it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from collectors.model import Host, Metric, Verdict
    from collectors.panel import Panel
    from collectors.settings import Settings

R = TypeVar("R")


class Collector(ABC, Generic[R]):
    """One check of the host. Only `read()` touches the host; `judge()` and `measure()` are pure.

    `name` is its section in vitald.toml, its flag and its label; `Settings` the struct of that section, with every default;
    `keep` how many readings the runner remembers for `judge()`; `looks` how many `vitald check` takes, a second apart (2 for rates).
    """

    name: ClassVar[str]
    Settings: ClassVar[type[Settings]]
    keep: int = 1
    looks: ClassVar[int] = 1

    @abstractmethod
    def __init__(self, settings: Any, host: Host) -> None:  # noqa: ANN401 — each collector's own struct
        """Take settings and roots; no I/O that may block: the first `read()` comes on the runner's own thread."""

    @abstractmethod
    def read(self) -> R:
        """Look at the host once. Raises `Unavailable`, or anything else for a failure."""

    @abstractmethod
    def judge(self, readings: Sequence[R]) -> Iterable[Verdict]:
        """Say what the last `keep` readings mean, oldest first: one verdict per subject."""

    @abstractmethod
    def measure(self, reading: R) -> Iterable[Metric]:
        """Say the newest reading as numbers."""

    def show(self, readings: Sequence[R]) -> Iterable[Panel]:  # noqa: ARG002
        """Show the last readings, oldest first, to people: for the status page and `vitald check`. Pure, like `judge()`.

        Called only when somebody looks, from the looker's thread, with a copy of what the runner remembers.
        """
        return ()

    def wakes(self) -> Iterable[int]:
        """Give descriptors that become readable when there is something to look at before the next tick.

        `read()` drains them. Asked after each run that worked, from the thread of that run; the runner then runs the collector at once,
        though no sooner than a quarter of a second after its last run began.
        """
        return ()

    @classmethod
    def problems(cls, settings: Any) -> Iterable[str]:  # noqa: ANN401, ARG003
        """Name what is wrong with the files these settings point to: a line each, for `vitald check-config`."""
        return ()

    def close(self) -> None:
        """Let go of files, sockets and threads; called once, also while a `read()` is still out, so that it ends soon."""

"""Collector interface: what the runner calls, in which order and from which thread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from collectors.model import CollectorContext, Inputs, Metric, Verdict
    from collectors.panel import Panel
    from collectors.settings import Settings

R = TypeVar("R")


class Collector(ABC, Generic[R]):
    """One check of the host. `read()` touches the host and judges nothing; `judge()`, `measure()` and `show()` are pure.

    `name` is its section in vitald.toml, its flag and its label; `Settings` the struct of that section, with every default;
    `checks` the checks that its verdicts are of, all of them unknown while it cannot be read;
    `needs_history` what of a check a single look cannot judge, and `history_only` the checks of which that is all;
    `keep` how many readings the runner keeps for `judge()`; `passes` how many runs `vitald check` makes, a second apart (2 for rates);
    `inputs` the collectors whose newest reading it is handed before each run.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[Settings]]
    checks: ClassVar[tuple[str, ...]] = ()
    needs_history: ClassVar[Mapping[str, str]] = {}
    history_only: ClassVar[frozenset[str]] = frozenset()
    keep: int = 1
    passes: ClassVar[int] = 1
    inputs: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def __init__(self, settings: Any, context: CollectorContext) -> None:  # noqa: ANN401 — each collector's own struct
        """Store settings and context; no I/O that may block: the first `read()` comes on the runner's own thread."""

    def receive(self, inputs: Inputs) -> None:
        """Store what the collectors named in `inputs` have read. Called before `read()`, from the same thread."""

    @abstractmethod
    def read(self) -> R:
        """Read the host once. Raises `Unavailable`, or any other exception for a failure.

        Where nothing has changed it may return the reading before, the same object: the runner then keeps the report it has.
        """

    @staticmethod
    @abstractmethod
    def judge(readings: Sequence[R], settings: Any, /) -> Iterable[Verdict]:  # noqa: ANN401
        """Judge the last `keep` readings, oldest first: one verdict per subject."""

    @staticmethod
    @abstractmethod
    def measure(reading: R, settings: Any, /) -> Iterable[Metric]:  # noqa: ANN401
        """Return the reading as metrics. Called at most once per report, when it is first scraped, from the scraping thread."""

    @staticmethod
    def show(readings: Sequence[R], settings: Any, /) -> Iterable[Panel]:  # noqa: ANN401, ARG004
        """Return panels of the last readings, oldest first, for the status page and `vitald check`.

        Called on request only, from the requesting thread, with a copy of the history.
        """
        return ()

    def follow_up(self, reading: R, verdicts: Sequence[Verdict]) -> R | None:  # noqa: ARG002
        """Start a detailed inspection that a verdict calls for; its result is part of a later reading. Called after each judged reading.

        In `Mode.CHECK`, where there is no later reading, wait for the result and return this reading with it: it is judged again.
        """
        return None

    def wake_fds(self) -> Iterable[int]:
        """Return descriptors that become readable when there is something to read before the next scheduled run.

        `read()` drains them. Called after each successful run, from its thread. The runner runs the collector as soon as one is readable,
        at the earliest a quarter of a second after its last run began.
        """
        return ()

    @classmethod
    def problems(cls, settings: Any) -> Iterable[str]:  # noqa: ANN401, ARG003
        """Return what is wrong with the files these settings point to, a line each, for `vitald check-config`."""
        return ()

    def close(self) -> None:
        """Release files, sockets and threads. Called once, also while a `read()` is in progress, which must then end soon."""

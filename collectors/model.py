"""Data model of all layers: reading → verdicts and metrics → report. Imports nothing else of vitald.

A *reading* is a frozen dataclass of each collector's own (collector.py).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Level(enum.IntEnum):
    """How bad a finding is; the values are those of `vitald_health` and of Nagios' exit codes."""

    HEALTHY = 0
    WARNING = 1
    CRITICAL = 2


class Kind(enum.Enum):
    """Prometheus' and OpenMetrics' metric types, as far as we use them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Family:
    """What a set of series has in common. Declared once, at module level, by whoever measures it.

    `name` carries no program prefix and no suffix of its kind (`probe_attempts`, not `vitald_probe_attempts_total`): the exporter
    writes its own system's spelling. Units are part of the name and are base units (`_seconds`, `_bytes`).
    `buckets` are a histogram's upper bounds, ascending, without +Inf. `cap` bounds the distinct values of each label; whatever
    comes after them is folded into the value `other`.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    cap: int = 1000


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram's running totals: observations per bucket (not cumulative, the last one is +Inf's) and their sum."""

    counts: tuple[int, ...]
    sum: float


@dataclass(frozen=True, slots=True)
class Metric:
    """One series' present value; `labels` are the values of `family.labels`, in that order."""

    family: Family
    value: float | Histogram
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the last readings mean for one subject. Healthy subjects have one too, on every tick.

    `message` is one line with figures; `evidence` holds the facts behind it by name; `remediation` is the first thing to do.
    """

    check: str
    subject: str
    level: Level
    message: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    remediation: str = ""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Report:
    """One run's result; the daemon describes itself in one too. `at` is Unix time in seconds, for people to read.

    `metrics` may be computed on first access, so that only reports that are scraped are paid for.
    """

    collector: str
    at: float
    verdicts: tuple[Verdict, ...] = ()
    metrics: Sequence[Metric] = ()


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the runner hands from other collectors to one that names them in `Collector.inputs`.

    `readings` holds the newest reading by collector name; a collector without one is left out. `newly_unhealthy` holds the subjects that
    left `Level.HEALTHY` since the receiving collector's last run, oldest first, each once.
    """

    readings: Mapping[str, Any] = field(default_factory=dict)
    newly_unhealthy: tuple[str, ...] = ()


class Unavailable(Exception):  # noqa: N818 — not an error: the host has no such thing, or we may not read it
    """This host has no such thing, or we may not read it. Raised by `read()` or by a collector's constructor.

    `reason` is one word of a closed set, since it becomes a label: `missing` (the host has no such thing), `permission`
    (we may not read it), `unconfigured` (there is nothing to do); `detail` is the sentence for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class BadInput(Exception):  # noqa: N818 — the house's word for what users wrote wrong
    """A file or a word of a user's that we refuse: one line that names the place, what is wrong and what would be right."""


class InUse(BadInput):
    """Nothing is wrong with what was asked for, but somebody else has it now: a port, a state directory."""


_BOOT_ID = "sys/kernel/random/boot_id"


class Slot(Protocol):
    """A collector's own place in the state directory. Both calls are safe at any time; `save` never raises for a full disk."""

    def load(self) -> Any:  # noqa: ANN401 — plain JSON values, whatever the collector saved
        """Give what was saved last (plain JSON values), or None where there is nothing usable."""

    def save(self, value: Any) -> bool:  # noqa: ANN401
        """Replace it atomically; False (logged and counted by the daemon) where it could not be written."""


class NoSlot:
    """A slot that remembers nothing: for `vitald check`, and for a daemon without a state directory."""

    def load(self) -> Any:  # noqa: ANN401
        """Know nothing."""
        return None

    def save(self, value: Any) -> bool:  # noqa: ANN401, ARG002
        """Forget it."""
        return True


class Mode(enum.Enum):
    """How a collector runs: for months in `vitald run`, or once in `vitald check`, where a person waits and slow reads are made at once."""

    DAEMON = "daemon"
    CHECK = "check"


@dataclass(frozen=True)
class CollectorContext:
    """What a collector is given beside its settings.

    `proc`, `sys` and `root` are where it finds the host, so the same code reads a recorded host. `listening` holds vitald's own bound
    addresses (`127.0.0.1:19100`). `slot` is the collector's state file. `cache` is a directory for what can be made again at any time.
    """

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    root: Path = Path("/")
    listening: tuple[str, ...] = ()
    slot: Slot = field(default_factory=NoSlot)
    mode: Mode = Mode.DAEMON
    cache: Path | None = None

    @property
    def is_recorded(self) -> bool:
        """Whether the paths show a recorded host: another procfs than this kernel's, or output of ethtool in place of its ioctls.

        Nothing of this host may be asked then (sockets, ioctls, system calls).
        """
        return (self.root / "ethtool").is_dir() or not _is_this_kernel(self.proc)


def _is_this_kernel(proc: Path) -> bool:
    """Compare boot ids, since a container may see the host's procfs under another path."""
    if proc == Path("/proc"):
        return True
    try:
        return (proc / _BOOT_ID).read_bytes() == (Path("/proc") / _BOOT_ID).read_bytes()
    except OSError:
        return False

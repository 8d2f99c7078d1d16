"""Data model of all layers: reading → verdicts and metrics → report. Imports nothing else of vitald.

A *reading* is a frozen dataclass of each collector's own (collector.py).
"""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

T = TypeVar("T")


class Level(enum.IntEnum):
    """Level of a finding; the values are Nagios' exit statuses, those below 3 also the values of `vitald_health`.

    UNKNOWN: what the check reads could not be read, so nothing is known about the subject; it has no `vitald_health` series.
    Compare levels by `severity`, not by value: a warning is worse than unknown.
    """

    HEALTHY = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3

    @property
    def severity(self) -> int:
        """Rank of the level: healthy 0, unknown 1, warning 2, critical 3."""
        return _SEVERITY[self]

    @property
    def is_fault(self) -> bool:
        """True for a warning and a critical finding."""
        return self is Level.WARNING or self is Level.CRITICAL


_SEVERITY = (0, 2, 3, 1)


def worst_level(levels: Iterable[Level]) -> Level:
    """Return the worst level, healthy if there is none."""
    return max(levels, key=_SEVERITY.__getitem__, default=Level.HEALTHY)


class Kind(enum.Enum):
    """Metric types, a subset of OpenMetrics'."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Family:
    """Metric family. Declared once, at module level, by the module that measures it.

    `name` has no program prefix and no suffix of its kind (`probe_attempts`, not `vitald_probe_attempts_total`): the exporter
    adds those of its format. Units are part of the name and are base units (`_seconds`, `_bytes`).
    `buckets` are a histogram's upper bounds, ascending, without +Inf. `cap` limits the distinct values of each label; further
    ones are folded into the value `other`.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    cap: int = 1000


@dataclass(frozen=True, slots=True)
class Histogram:
    """Totals of a histogram: observations per bucket (not cumulative, the last one is +Inf's) and their sum."""

    counts: tuple[int, ...]
    sum: float


class Metric(NamedTuple):  # made for every series of every scrape: a frozen dataclass takes twice as long
    """Current value of one series; `labels` are the values of `family.labels`, in that order."""

    family: Family
    value: float | Histogram
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Judgement of the last readings for one subject. Healthy subjects have one, too, in every report.

    `message` is one line with figures; `evidence` holds the facts behind it by name; `remediation` is the first action.
    """

    check: str
    subject: str
    level: Level
    message: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    remediation: str = ""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Report:
    """Result of one run, or the daemon's own metrics. `at` is Unix time in seconds, for display.

    `metrics` may be computed on first access, so that reports that are never scraped cost nothing.
    """

    collector: str
    at: float
    verdicts: tuple[Verdict, ...] = ()
    metrics: Sequence[Metric] = ()


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a collector is handed of those that it names in `Collector.inputs`.

    `readings` holds the newest reading by collector name; a collector without one is left out. `newly_unhealthy` holds the subjects that
    left `Level.HEALTHY` since the receiving collector's last run, oldest first, each once.
    """

    readings: Mapping[str, Any] = field(default_factory=dict)
    newly_unhealthy: tuple[str, ...] = ()


class Unavailable(Exception):  # noqa: N818 — a state of the host, no error
    """The host does not have what the collector reads, or it may not be read. Raised by `read()` or by a constructor.

    `reason` becomes a label and is one of: `missing` (the host does not have it), `unconfigured` (nothing is configured to be read),
    `permission` (it may not be read), `failing` (every host has it, but not in a state that can be read). With the last two nothing is
    known about the collector's checks (`Level.UNKNOWN`). `detail` is the message, `remediation` what makes it readable.
    """

    def __init__(self, reason: str, detail: str, remediation: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.remediation = remediation

    @property
    def is_applicable(self) -> bool:
        """True if the host has what the collector reads: its checks apply, and their state is unknown."""
        return self.reason not in {"missing", "unconfigured"}


class BadInput(Exception):  # noqa: N818 — raised for users' input, no program error
    """Invalid input of a user; each problem is one line: `FILE: KEY: what is wrong; what is expected`."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        return "; ".join(self.problems)


class InUse(BadInput):
    """Valid input whose resource (a port, a state directory) is in use by another process."""


_PROC, _SYS, _ROOT = Path("/proc"), Path("/sys"), Path("/")
_BOOT_ID = "sys/kernel/random/boot_id"


def is_host_error(error: BaseException | None) -> bool:
    """Return True for an error that the host causes (no descriptor, thread or memory, a file that cannot be read), not the program."""
    no_thread = isinstance(error, RuntimeError) and "start new thread" in str(error)  # CPython's _thread.start_new_thread()
    no_codec = isinstance(error, LookupError) and str(error).startswith("unknown encoding")  # its module could not be imported
    return no_thread or no_codec or isinstance(error, OSError | MemoryError | ImportError)


class Slot(Protocol):
    """A collector's file in the state directory. Both methods are thread-safe; neither raises for a full disk or an unusable file."""

    def load(self, schema: type[T]) -> T:
        """Return the value saved last, as a type of `collectors.state`; its records that do not fit are dropped, logged and counted.

        `schema()` if there is none that is usable.
        """

    def reject(self, count: int, reason: str) -> None:
        """Count further records of the loaded value, which the collector dropped."""

    def save(self, value: Any, seconds: float = 0.0) -> bool:  # noqa: ANN401 — a value of that schema
        """Replace the value atomically, without waiting for the disk: the newest value is written.

        With `seconds`, wait so long for the write. Return False (logged and counted by the daemon) if it failed or has not ended.
        """


class NoSlot:
    """Slot that stores nothing: for `vitald check`, and for a daemon without a state directory."""

    def load(self, schema: type[T]) -> T:
        """Return an empty value."""
        return schema()

    def reject(self, count: int, reason: str) -> None:
        """Count nothing."""

    def save(self, value: Any, seconds: float = 0.0) -> bool:  # noqa: ANN401, ARG002
        """Discard the value."""
        return True


class Mode(enum.Enum):
    """How a collector runs: repeatedly in `vitald run`, or once in `vitald check`, which makes slow reads at once and waits for them."""

    DAEMON = "daemon"
    CHECK = "check"


@dataclass(frozen=True)
class CollectorContext:
    """Environment of a collector.

    `proc`, `sys` and `root` are the roots of the host's file systems, or of a recorded host's. `listening` holds vitald's own bound
    addresses (`127.0.0.1:19100`). `slot` is the collector's state file. `cache` is a directory for files that can be recreated at any time.

    Beside a foreign root this host's own others are not used: they become its siblings (`HOST/proc`, `HOST/sys`, `HOST`), there or not.
    """

    proc: Path = _PROC
    sys: Path = _SYS
    root: Path = _ROOT
    listening: tuple[str, ...] = ()
    slot: Slot = field(default_factory=NoSlot)
    mode: Mode = Mode.DAEMON
    cache: Path | None = None

    def __post_init__(self) -> None:
        if self.is_recorded:
            base = self.root if self.root != _ROOT else self.proc.parent if self.proc != _PROC else self.sys.parent
            found = {"proc": (self.proc, _PROC, base / "proc"), "sys": (self.sys, _SYS, base / "sys"), "root": (self.root, _ROOT, base)}
            for name, (path, own, sibling) in found.items():
                if path == own:
                    object.__setattr__(self, name, sibling)

    @cached_property
    def is_recorded(self) -> bool:
        """True if one of the roots is not this host's: a recorded host's, or another disk's.

        A collector then reads files below the roots only: it uses no socket, ioctl or system call that asks this host's kernel, and
        starts no program that does.
        """
        return not (_is_this_procfs(self.proc) and _is_this_sysfs(self.sys) and _is_this_root(self.root))


def _is_this_procfs(proc: Path) -> bool:
    """Compare boot ids, since a container may see the host's procfs under another path. A tree without one is foreign."""
    if proc == _PROC:
        return True
    try:
        return (proc / _BOOT_ID).read_bytes() == (_PROC / _BOOT_ID).read_bytes()
    except OSError:
        return False


def _is_this_sysfs(sys: Path) -> bool:
    """Return whether a sysfs is mounted there (proc_pid_mountinfo(5)): a copy of one is on another file system."""
    if sys == _SYS:
        return True
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
        path = os.path.realpath(sys)
    except OSError:
        return False
    return any(line.split(" ")[4] == path and " - sysfs " in line for line in mounts)


def _is_this_root(root: Path) -> bool:
    """Return whether this kernel's procfs is mounted there: a container that sees the host's root file system has it in it."""
    return root == _ROOT or _is_this_procfs(root / "proc")

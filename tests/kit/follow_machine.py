"""State machine of a log file: random programs of a writer, of logrotate and of kills, with a model of what must be read.

logrotate's work is cut into the steps that a reader can see between: copy (half, whole), lines appended, truncation, compression.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import ClassVar

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from collectors.logs.state import FollowerState
from collectors.logs.tailing.follower import GRACE, Follower

ROTATIONS = 4  # rotated files, as logrotate's `rotate 4`
FOLDERS = ("/dev/shm", "/var/tmp")  # tmpfs, and a disk, which reuses inodes


class FollowMachine(RuleBasedStateMachine):
    """Each written line is read once. Only lines of a destroyed file may be missing, and then a loss was counted.

    `totals` sums over all programs: programs, lines written, read, destroyed before a look, missing without a count, read twice.
    """

    totals: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.partial = b""
        self.current: list[bytes] | None = None  # lines of the path's file; None while it is missing
        self.rotated: list[tuple[str, list[bytes]]] = []  # name and lines of each rotated file, newest first
        self.copied: int | None = None  # lines of the path's file that a copy holds, while it is not truncated yet
        self.cut = b""  # what the copy in progress does not hold yet
        self.all: list[bytes] = []
        self.at_risk: set[bytes] = set()
        self.unreadable: set[bytes] = set()
        self.since_poll: list[bytes] = []
        self.since_save: list[bytes] = []
        self.gone: set[bytes] = set()
        self.was_destroyed = False  # a file was truncated or deleted without a copy, or a copy was incomplete
        self.renamed_at = -100.0
        self.read: list[bytes] = []
        self.lost = 0
        self.now = 0.0
        self.names = 0

    @initialize(folder=st.sampled_from(FOLDERS), exists=st.booleans(), dated=st.booleans())
    def start(self, folder: str, *, exists: bool, dated: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vitald-follow-", dir=folder))
        self.path = self.folder / "syslog"
        self.dated = dated
        if exists:
            self._create()
        self.follower = Follower(str(self.path), self._on_loss, backlog=True)
        self.poll()
        self.save()

    def _on_loss(self, _reason: str) -> None:
        self.lost += 1

    def _create(self) -> None:
        self.path.touch()
        self.current = []

    def _append(self, name: str, data: bytes) -> None:
        with (self.folder / name).open("ab", buffering=0) as file:
            file.write(data)

    def _lines(self, count: int, width: int = 90) -> list[bytes]:
        lines = [b"%06d " % (self.number + offset) + b"x" * (offset * 37 % width) for offset in range(count)]
        self.number += count
        self._written(lines)
        return lines

    def _written(self, lines: list[bytes]) -> None:
        self.all += lines
        self.since_poll += lines
        self.since_save += lines

    def _finish_partial(self) -> None:
        if self.partial:
            self._append("syslog", b"+\n")
            line, self.partial = self.partial + b"+", b""
            assert self.current is not None
            self.current.append(line)
            self._written([line])

    def _destroy(self, lines: list[bytes]) -> None:
        """Record that lines are gone: those that no saved state has read may be missing."""
        gone = set(lines)
        self.gone |= gone
        self.at_risk |= gone - set(self.saved[1])
        self.unreadable |= gone & set(self.since_poll)  # written and destroyed between two polls: no loss can be detected
        self.was_destroyed |= bool(gone - set(self.saved[1]))

    @rule(count=st.integers(1, 5), width=st.sampled_from((90, 90, 3000)))
    def write(self, count: int, width: int) -> None:
        self._finish_partial()
        if self.current is None:
            self._create()
        assert self.current is not None
        lines = self._lines(count, width)
        self.current += lines
        self._append("syslog", b"".join(line + b"\n" for line in lines))

    @rule()
    def write_half_a_line(self) -> None:
        if not self.partial:
            if self.current is None:
                self._create()
            self.partial = b"%06d half" % self.number
            self.number += 1
            self._append("syslog", self.partial)

    @precondition(lambda self: self.rotated and not self.rotated[0][0].endswith(".gz") and self.now - self.renamed_at <= 5)
    @rule()
    def write_late_to_the_rotated_file(self) -> None:
        """Within the time that a daemon takes to handle the signal."""
        name, lines = self.rotated[0]
        (line,) = self._lines(1)
        lines.append(line)
        self._append(name, line + b"\n")

    def _shift(self) -> str:
        """Make room for a rotated file, and return its name."""
        if len(self.rotated) == ROTATIONS:
            name, lines = self.rotated.pop()
            (self.folder / name).unlink()
            self._destroy(lines)
            self.was_destroyed = True
        if self.dated:
            self.names += 1
            return f"syslog-20260101-{self.names:06d}"
        for index in reversed(range(len(self.rotated))):
            name, lines = self.rotated[index]
            new = f"syslog.{index + 2}" + (".gz" if name.endswith(".gz") else "")
            (self.folder / name).rename(self.folder / new)
            self.rotated[index] = new, lines
        return "syslog.1"

    def _is_free(self) -> bool:
        """Return True if the path is there and logrotate is not at work on it."""
        return self.current is not None and self.copied is None and not self.cut

    @precondition(_is_free)
    @rule(create=st.booleans())
    def rotate(self, *, create: bool) -> None:
        self._finish_partial()
        name = self._shift()
        self.path.rename(self.folder / name)
        assert self.current is not None
        self.rotated.insert(0, (name, self.current))
        self.renamed_at = self.now
        self.current = None
        if create:
            self._create()

    @precondition(_is_free)
    @rule(share=st.sampled_from((0.0, 0.5, 1.0)))
    def copy(self, share: float) -> None:
        """Begin a rotation by copy: so much of the copy is made until the next look."""
        self._finish_partial()
        name = self._shift()
        data = self.path.read_bytes()
        size = int(len(data) * share)
        (self.folder / name).write_bytes(data[:size])
        self.cut = data[size:]
        assert self.current is not None
        self.rotated.insert(0, (name, list(self.current)))
        self.copied = len(self.current)
        self.renamed_at = -100.0

    @precondition(lambda self: self.copied is not None)
    @rule()
    def truncate_after_the_copy(self) -> None:
        """End a rotation by copy: lines that were written since are in no copy."""
        self._finish_partial()
        self._append(self.rotated[0][0], self.cut)
        assert self.current is not None
        self._destroy(self.current[self.copied :])
        self.was_destroyed |= self.copied == 0  # an empty copy is no trace of one
        os.truncate(self.path, 0)
        self.current, self.copied, self.cut = [], None, b""

    @precondition(_is_free)
    @rule()
    def copy_and_truncate(self) -> None:
        self.copy(1.0)
        self.truncate_after_the_copy()

    @precondition(lambda self: self.copied is None and self.now - self.renamed_at > 5)
    @rule(at=st.integers(0, ROTATIONS - 1), in_progress=st.booleans())
    def compress(self, at: int, *, in_progress: bool) -> None:
        if at >= len(self.rotated) or self.rotated[at][0].endswith(".gz"):
            return
        name, lines = self.rotated[at]
        old, new = self.folder / name, self.folder / f"{name}.gz"
        status = old.stat()
        new.write_bytes(gzip.compress(old.read_bytes(), 1))
        if in_progress:
            self.poll()
        os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
        old.unlink()
        self.rotated[at] = new.name, lines

    @precondition(_is_free)
    @rule()
    def truncate(self) -> None:
        self._finish_partial()
        assert self.current is not None
        os.truncate(self.path, 0)
        self._destroy(self.current)
        self.current, self.was_destroyed = [], True

    @precondition(_is_free)
    @rule()
    def delete(self) -> None:
        self._finish_partial()
        assert self.current is not None
        self.path.unlink()
        self._destroy(self.current)
        self.current, self.was_destroyed = None, True

    @precondition(lambda self: self.current is None)
    @rule(count=st.sampled_from((3, 30)), by_rename=st.booleans())
    def appear(self, count: int, *, by_rename: bool) -> None:
        """Make the path appear with lines in it."""
        lines = self._lines(count)
        name = "unrelated" if by_rename else "syslog"
        self._append(name, b"".join(line + b"\n" for line in lines))
        if by_rename:
            (self.folder / name).rename(self.path)
        self.current = lines

    @rule()
    def poll(self) -> None:
        self.now += 1
        self.since_poll = []
        self.follower.refresh(self.now)
        for block in (*self.follower.read(100), *self.follower.read_finished()):
            self.read += block.split(b"\n")[:-1]

    @rule()
    def poll_much_later(self) -> None:
        self.now += GRACE
        self.poll()

    @rule()
    def save(self) -> None:
        saved = msgspec.json.decode(msgspec.json.encode(self.follower.state()), type=FollowerState)
        self.saved = (saved, tuple(self.read), self.lost)
        self.since_save = list(self.since_poll)  # not read yet, so not in what was saved

    @rule()
    def restart(self) -> None:
        self.save()
        self.kill()

    @rule()
    def kill(self) -> None:
        """Restore what was saved last, positions and counts together: what follows until the next look happens while it is stopped."""
        self.follower.close()
        self.unreadable |= self.gone & set(self.since_save)  # the saved state has not seen them
        self.since_poll = list(self.since_save)
        saved, read, self.lost = self.saved
        self.read = list(read)
        self.follower = Follower(str(self.path), self._on_loss, saved)

    def teardown(self) -> None:
        if not hasattr(self, "follower"):
            return
        try:
            self._finish_partial()
            for _ in range(2):
                self.poll()
            self.poll_much_later()
            self.poll_much_later()
            twice = [line for line, count in Counter(self.read).items() if count > 1]
            missing = set(self.all) - set(self.read)
            silent = missing - self.at_risk if self.lost else missing - self.unreadable
            self.totals.update(
                {"programs": 1, "written": len(self.all), "destroyed": len(missing), "lost": len(silent), "doubled": len(twice)}
            )
            assert not twice, f"read twice: {sorted(twice)}"
            assert missing <= self.at_risk, f"missing: {sorted(missing - self.at_risk)}"
            assert not silent, f"lost without a count: {sorted(silent)}"
            assert set(self.read) <= set(self.all), "read what was never written"
            assert not self.lost or self.was_destroyed, "a loss is counted that was none"
        finally:
            self.follower.close()
            shutil.rmtree(self.folder)


def machine_settings(count: int) -> settings:
    """Return settings for the same programs in each run; `make bench ONLY=logs_programs` draws others each time."""
    checks = list(HealthCheck)
    return settings(max_examples=count, stateful_step_count=25, deadline=None, suppress_health_check=checks, derandomize=True)

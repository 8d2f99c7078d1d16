"""State machine of a log file: random writes, rotations, truncations and restarts, with a model of what must be read."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from collectors.logs.state import FollowerState
from collectors.logs.tailing.follower import GRACE, Follower

ROTATIONS = 4  # rotated files, as logrotate's `rotate 4`


class FollowMachine(RuleBasedStateMachine):
    """Each written line is read once. Only lines of a destroyed file may be missing, and then a loss was counted."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="vitald-follow-", dir="/dev/shm"))
        self.path = self.folder / "syslog"
        self.path.touch()
        self.number = 0
        self.partial = b""
        self.files: dict[str, list[bytes]] = {"syslog": []}  # expected lines of each file
        self.all: list[bytes] = []
        self.at_risk: set[bytes] = set()
        self.unreadable: set[bytes] = set()
        self.since_poll: list[bytes] = []
        self.since_save: list[bytes] = []
        self.gone: set[bytes] = set()
        self.renamed_at = -100.0
        self.read: list[bytes] = []
        self.lost = 0
        self.saved: tuple[FollowerState | None, tuple[bytes, ...], int] = (None, (), 0)
        self.now = 0.0
        self.follower = Follower(str(self.path), self._on_loss)
        self.poll()
        self.save()

    def _on_loss(self, _reason: str) -> None:
        self.lost += 1

    def _append(self, name: str, data: bytes) -> None:
        with (self.folder / name).open("ab", buffering=0) as file:
            file.write(data)

    def _lines(self, count: int) -> list[bytes]:
        lines = [b"%06d " % (self.number + offset) + b"x" * (offset * 37 % 90) for offset in range(count)]
        self.number += count
        self.all += lines
        self.since_poll += lines
        self.since_save += lines
        return lines

    def _finish_partial(self) -> None:
        if self.partial:
            self._append("syslog", b"+\n")
            line, self.partial = self.partial + b"+", b""
            self.files.setdefault("syslog", []).append(line)
            self.all.append(line)
            self.since_poll.append(line)
            self.since_save.append(line)

    def _destroy(self, name: str) -> None:
        """Record that lines of a file are gone: those that no saved state has read may be missing."""
        gone = set(self.files.pop(name, ()))
        self.gone |= gone
        self.at_risk |= gone - set(self.saved[1])
        self.unreadable |= gone & set(self.since_poll)  # written and destroyed between two polls: no loss can be detected

    @rule(count=st.integers(1, 5))
    def write(self, count: int) -> None:
        self._finish_partial()
        lines = self._lines(count)
        self.files.setdefault("syslog", []).extend(lines)
        self._append("syslog", b"".join(line + b"\n" for line in lines))

    @rule()
    def write_half_a_line(self) -> None:
        if not self.partial:
            self.partial = b"%06d half" % self.number
            self.number += 1
            self.files.setdefault("syslog", [])
            self._append("syslog", self.partial)

    @rule()
    def write_late_to_the_rotated_file(self) -> None:
        if "syslog.1" in self.files and self.now - self.renamed_at <= 5:  # within the time a daemon takes to handle the signal
            (line,) = self._lines(1)
            self.files["syslog.1"].append(line)
            self._append("syslog.1", line + b"\n")

    def _shift(self) -> None:
        if f"syslog.{ROTATIONS}" in self.files:
            (self.folder / f"syslog.{ROTATIONS}").unlink()
            self._destroy(f"syslog.{ROTATIONS}")
        for number in range(ROTATIONS - 1, 0, -1):
            if f"syslog.{number}" in self.files:
                (self.folder / f"syslog.{number}").rename(self.folder / f"syslog.{number + 1}")
                self.files[f"syslog.{number + 1}"] = self.files.pop(f"syslog.{number}")

    @rule()
    def rotate(self) -> None:
        self._finish_partial()
        if "syslog" in self.files:
            self._shift()
            self.path.rename(self.folder / "syslog.1")
            self.files["syslog.1"] = self.files.pop("syslog")
            self.renamed_at = self.now
            self.path.touch()
            self.files["syslog"] = []

    @rule()
    def copy_and_truncate(self) -> None:
        self._finish_partial()
        if "syslog" in self.files:
            self._shift()
            shutil.copyfile(self.path, self.folder / "syslog.1")
            self.renamed_at = -100.0
            self.files["syslog.1"] = self.files["syslog"]
            os.truncate(self.path, 0)
            self.files["syslog"] = []

    @rule()
    def truncate(self) -> None:
        self._finish_partial()
        if "syslog" in self.files:
            os.truncate(self.path, 0)
            self._destroy("syslog")
            self.files["syslog"] = []

    @rule()
    def delete(self) -> None:
        self._finish_partial()
        if "syslog" in self.files:
            self.path.unlink()
            self._destroy("syslog")

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
        """Restore what was saved last: positions and counts together."""
        self.follower.close()
        self.unreadable |= self.gone & set(self.since_save)  # the saved state has not seen them
        self.since_poll = list(self.since_save)
        saved, read, self.lost = self.saved
        self.read = list(read)
        self.follower = Follower(str(self.path), self._on_loss, saved)

    def teardown(self) -> None:
        try:
            self._finish_partial()
            for _ in range(2):
                self.poll()
            self.poll_much_later()
            self.poll_much_later()
            assert len(set(self.read)) == len(self.read), "read twice"
            missing = set(self.all) - set(self.read)
            assert missing <= self.at_risk, f"missing: {sorted(missing - self.at_risk)}"
            assert self.lost or missing <= self.unreadable, f"lost without a count: {sorted(missing)}"
            assert set(self.read) <= set(self.all), "read what was never written"
        finally:
            self.follower.close()
            shutil.rmtree(self.folder)


def machine_settings(count: int) -> settings:
    return settings(max_examples=count, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))

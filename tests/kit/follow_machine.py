"""A model of a log file and of whatever can happen to it, beside the follower."""

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

KEPT = 4  # rotated files, as logrotate's `rotate 4`


class FollowMachine(RuleBasedStateMachine):
    """Every line written is read once. Only lines of a file that was destroyed may be missing, and then a loss was counted."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="vitald-follow-", dir="/dev/shm"))
        self.path = self.folder / "syslog"
        self.path.touch()
        self.number = 0
        self.partial = b""
        self.files: dict[str, list[bytes]] = {"syslog": []}  # what the model knows to be in each file
        self.all: list[bytes] = []
        self.at_risk: set[bytes] = set()
        self.never_seen: set[bytes] = set()
        self.since_look: list[bytes] = []
        self.since_keep: list[bytes] = []
        self.gone: set[bytes] = set()
        self.renamed_at = -100.0
        self.read: list[bytes] = []
        self.lost = 0
        self.kept: tuple[FollowerState | None, tuple[bytes, ...], int] = (None, (), 0)
        self.now = 0.0
        self.follower = Follower(str(self.path), self._lose)
        self.look()
        self.keep()

    def _lose(self, _reason: str) -> None:
        self.lost += 1

    def _append(self, name: str, data: bytes) -> None:
        with (self.folder / name).open("ab", buffering=0) as file:
            file.write(data)

    def _lines(self, count: int) -> list[bytes]:
        lines = [b"%06d " % (self.number + offset) + b"x" * (offset * 37 % 90) for offset in range(count)]
        self.number += count
        self.all += lines
        self.since_look += lines
        self.since_keep += lines
        return lines

    def _finish_partial(self) -> None:
        if self.partial:
            self._append("syslog", b"+\n")
            line, self.partial = self.partial + b"+", b""
            self.files.setdefault("syslog", []).append(line)
            self.all.append(line)
            self.since_look.append(line)
            self.since_keep.append(line)

    def _destroy(self, name: str) -> None:
        """Note that lines of a file are gone: those no saved state has may be missed."""
        gone = set(self.files.pop(name, ()))
        self.gone |= gone
        self.at_risk |= gone - set(self.kept[1])
        self.never_seen |= gone & set(self.since_look)  # written and destroyed between two looks: nobody can know

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
        if "syslog.1" in self.files and self.now - self.renamed_at <= 5:  # as long as a daemon takes to see the signal
            (line,) = self._lines(1)
            self.files["syslog.1"].append(line)
            self._append("syslog.1", line + b"\n")

    def _shift(self) -> None:
        if f"syslog.{KEPT}" in self.files:
            (self.folder / f"syslog.{KEPT}").unlink()
            self._destroy(f"syslog.{KEPT}")
        for number in range(KEPT - 1, 0, -1):
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
    def look(self) -> None:
        self.now += 1
        self.since_look = []
        self.follower.look(self.now)
        for block in (*self.follower.read(100), *self.follower.last_words()):
            self.read += block.split(b"\n")[:-1]

    @rule()
    def look_much_later(self) -> None:
        self.now += GRACE
        self.look()

    @rule()
    def keep(self) -> None:
        saved = msgspec.json.decode(msgspec.json.encode(self.follower.save()), type=FollowerState)
        self.kept = (saved, tuple(self.read), self.lost)
        self.since_keep = list(self.since_look)  # not seen yet, so not in what was kept

    @rule()
    def restart(self) -> None:
        self.keep()
        self.kill()

    @rule()
    def kill(self) -> None:
        """Go back to what was saved last: positions and counts together, as they are saved."""
        self.follower.close()
        self.never_seen |= self.gone & set(self.since_keep)  # what was kept knows nothing of them
        self.since_look = list(self.since_keep)
        saved, read, self.lost = self.kept
        self.read = list(read)
        self.follower = Follower(str(self.path), self._lose, saved)

    def teardown(self) -> None:
        try:
            self._finish_partial()
            for _ in range(2):
                self.look()
            self.look_much_later()
            self.look_much_later()
            assert len(set(self.read)) == len(self.read), "read twice"
            missing = set(self.all) - set(self.read)
            assert missing <= self.at_risk, f"missing: {sorted(missing - self.at_risk)}"
            assert self.lost or missing <= self.never_seen, f"lost without a word: {sorted(missing)}"
            assert set(self.read) <= set(self.all), "read what was never written"
        finally:
            self.follower.close()
            shutil.rmtree(self.folder)


def programs(count: int) -> settings:
    return settings(max_examples=count, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))

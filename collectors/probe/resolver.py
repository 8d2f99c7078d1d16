"""Names into addresses, off the sweep: a few threads look up, the sweep only asks what they know."""

from __future__ import annotations

import errno
import logging
import random
import threading
import time
from typing import TYPE_CHECKING

from collectors.probe.lookup import Answer, look_up
from collectors.probe.reasons import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.probe.targets import Address

THREADS = 16  # only as many as hanging look-ups make necessary
FOR_TROUBLED = 4  # of them, so that names known to hang never take the last thread
IDLE = 2  # stay
REFRESH = 60.0  # seconds from an answer to the next look-up
RETRY = 5.0  # and from a failure
SLOW = 0.1  # a look-up that waits this long for a thread gets one more

_NO_THREAD = Outcome(Reason.DNS_TIMEOUT, own_fault=True, error=errno.EAGAIN)  # nothing was asked yet: not the target's fault

log = logging.getLogger(__name__)


class _Name:
    """One name: its last answer, the address in use, and where its look-up stands (times are monotonic seconds)."""

    __slots__ = ("answer", "asked", "chosen", "due", "host", "running", "troubled")

    def __init__(self, host: str, now: float) -> None:
        self.host = host
        self.answer: Answer | None = None
        self.chosen: Address | None = None
        self.due = self.asked = now
        self.running = self.troubled = False

    def settle(self, answer: Answer, now: float) -> None:
        """Take an answer in. An address that is still among them is kept: round-robin answers must not make the target flap."""
        self.troubled = bool(answer.failure)
        self.due = now + (RETRY if answer.failure else REFRESH * random.uniform(0.9, 1.0))  # noqa: S311 — spreads load, no secret
        if not answer.failure and self.chosen not in answer.addresses:
            self.chosen = answer.addresses[0]
        self.answer = answer.bounded()
        self.running = False  # last, since the sweep reads without the lock


class Resolver:
    """The names in use and what is known of them. Threads exist only while there are names; nothing here waits for a look-up."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._names: dict[str, _Name] = {}
        self._changed = threading.Condition()
        self._threads = self._idle = 0
        self._closed = False

    def want(self, hosts: Iterable[str]) -> None:
        """Set the names in use: new ones are looked up at once, the others are forgotten."""
        now = time.monotonic()
        with self._changed:
            self._names = {host: self._names.get(host) or _Name(host, now) for host in hosts}
            self._changed.notify_all()
        self._grow()

    def ask(self, host: str, port: int) -> Address | Outcome | None:
        """Say where a name is now, or why that is not known; None while its first look-up is young."""
        name = self._names[host]
        now = time.monotonic()
        waited = now - name.asked
        if name.running and waited > self._deadline:
            name.troubled = True
            return Outcome(Reason.DNS_TIMEOUT)
        if name.answer is None:
            if waited > SLOW:
                self._grow()
            return _NO_THREAD if waited > self._deadline and not name.running else None
        if name.answer.failure:
            return name.answer.failure
        return name.chosen and name.chosen._replace(sockaddr=(name.chosen.sockaddr[0], port, *name.chosen.sockaddr[2:]))

    def seconds(self, host: str) -> float | None:
        """Say how long the last look-up took; for one that hangs, how long it has taken so far."""
        name = self._names[host]
        if name.running and (waited := time.monotonic() - name.asked) > self._deadline:
            return waited
        return name.answer.seconds if name.answer else None

    def close(self) -> None:
        """Let the threads go; one that hangs in a look-up ends when that does, or with the process."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _grow(self) -> None:
        """Start one more thread if a name is due and nobody is free to look it up."""
        with self._changed:
            if self._closed or self._idle or self._threads >= THREADS:
                return
            name = self._pick()
            if name is None or name.due > time.monotonic():
                return
            try:
                threading.Thread(target=self._work, name=f"probe-dns-{self._threads + 1}", daemon=True).start()
            except RuntimeError as error:  # no thread to be had: names fail as our own fault, addresses are probed on
                log.warning("no thread for looking up names: %s", error)
            else:
                self._threads += 1

    def _work(self) -> None:
        while (name := self._take()) is not None:
            answer = look_up(name.host)
            with self._changed:
                name.settle(answer, time.monotonic())
                self._changed.notify()

    def _take(self) -> _Name | None:
        """Wait for a name that is due; None when this thread is one too many."""
        with self._changed:
            while self._names and not self._closed:
                now = time.monotonic()
                name = self._pick()
                if name and name.due <= now:
                    name.running, name.asked = True, (now if name.answer else name.asked)
                    return name
                if self._idle >= IDLE:
                    break
                self._idle += 1
                self._changed.wait(name.due - now if name else None)
                self._idle -= 1
            self._threads -= 1
            return None

    def _pick(self) -> _Name | None:
        """Choose the name that is due first; those in trouble may use only some of the threads."""
        full = sum(name.running and name.troubled for name in self._names.values()) >= FOR_TROUBLED
        free = [name for name in self._names.values() if not name.running and not (full and name.troubled)]
        return min(free, key=lambda name: name.due, default=None)

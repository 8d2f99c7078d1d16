"""Names into addresses, off the sweep: a few threads look up, the sweep only asks what they know."""

from __future__ import annotations

import errno
import logging
import random
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from collectors.probe.connect.outcome import Outcome, Reason
from collectors.probe.dns.lookup import Answer, look_up
from collectors.probe.targets.target import Address

if TYPE_CHECKING:
    from collections.abc import Iterable

THREADS = 16  # only as many as hanging look-ups make necessary
FOR_TROUBLED = 4  # of them, so that names known to hang never take the last thread
IDLE = 2  # stay
REFRESH = 60.0  # seconds from an answer to the next look-up
RETRY = 5.0  # and from a failure
MOST_PROBED = 8  # addresses of one name; the answer may hold hundreds
SLOW = 0.1  # a look-up that waits this long for a thread gets one more

LOOKUP_FAILURES = (Reason.DNS_NOT_FOUND, Reason.DNS_TIMEOUT, Reason.DNS_ERROR, Reason.LOCAL_RESOURCES)

_NO_THREAD = Outcome(Reason.DNS_TIMEOUT, own_fault=True, error=errno.EAGAIN)  # nothing was asked yet: not the target's fault

log = logging.getLogger(__name__)


class Lookups(NamedTuple):
    """What became of a name's look-ups: how many there were and failed, by reason (in the order of LOOKUP_FAILURES).

    `addresses` is how many the last good one gave, `changes` how often they were others than before.
    """

    made: int = 0
    failures: tuple[int, ...] = (0,) * len(LOOKUP_FAILURES)
    addresses: int = 0
    changes: int = 0


class _Name:
    """One name: its last answer, the addresses in use, and where its look-up stands (times are monotonic seconds)."""

    __slots__ = ("answer", "asked", "due", "host", "lookups", "probed", "running", "seen", "troubled")

    def __init__(self, host: str, now: float) -> None:
        self.host = host
        self.answer: Answer | None = None
        self.probed: tuple[Address, ...] = ()
        self.lookups = Lookups()
        self.seen = 0
        self.due = self.asked = now
        self.running = self.troubled = False

    def settle(self, answer: Answer, now: float) -> None:
        """Take an answer in. Addresses that are still among them are kept: round-robin answers must not make the target flap."""
        self.troubled = bool(answer.failure)
        self.due = now + (RETRY if answer.failure else REFRESH * random.uniform(0.9, 1.0))  # noqa: S311 — spreads load, no secret
        self._count(answer)
        if not answer.failure:
            found = dict.fromkeys(answer.addresses)
            kept = {address: None for address in self.probed if address in found}
            self.probed = tuple(kept | found)[:MOST_PROBED]
        self.answer = answer.bounded()
        self.running = False  # last, since the sweep reads without the lock

    def _count(self, answer: Answer) -> None:
        made, failures, addresses, changes = self.lookups
        if answer.failure:
            index = LOOKUP_FAILURES.index(answer.failure.reason)
            failures = (*failures[:index], failures[index] + 1, *failures[index + 1 :])
        else:
            seen = hash(frozenset(answer.addresses))  # all of them, in any order, without remembering them
            if self.seen and seen != self.seen:
                changes += 1
                log.info("%s has other addresses: %s", self.host, ", ".join(str(a.sockaddr[0]) for a in answer.addresses[:MOST_PROBED]))
            self.seen, addresses = seen, len(answer.addresses)
        self.lookups = Lookups(made + 1, failures, addresses, changes)


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
        """Say where a name is now, or why that is not known; None while its first look-up is young. One address, and always the same."""
        planned = self.ask_all(host, port)
        return planned[0] if isinstance(planned, list) else planned

    def ask_all(self, host: str, port: int) -> list[Address] | Outcome | None:
        """Say the same with all its addresses, up to MOST_PROBED."""
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
        return [Address(family, (sockaddr[0], port, *sockaddr[2:])) for family, sockaddr in name.probed]

    def lookups(self, host: str) -> Lookups:
        """Say what became of a name's look-ups so far."""
        return self._names[host].lookups

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

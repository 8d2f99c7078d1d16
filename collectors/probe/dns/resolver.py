"""Resolver for names among the targets: a few threads look up, the sweep reads their last results without waiting."""

from __future__ import annotations

import errno
import logging
import random
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from collectors.probe.connect.result import ProbeResult, Reason
from collectors.probe.dns.lookup import LookupResult, look_up
from collectors.probe.targets.target import SocketAddress

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_THREADS = 16  # started only as hanging look-ups make them necessary
MAX_THREADS_FAILING = 4  # of them for names whose last look-up failed or hung, so that these never take the last thread
MAX_IDLE_THREADS = 2
REFRESH_SECONDS = 60.0  # from an answer to the next look-up
RETRY_SECONDS = 5.0  # from a failure to the next look-up
MAX_PROBED = 8  # addresses of one name; the answer may hold hundreds
MAX_ADDRESSES = 64  # of one name are kept
SLOW_SECONDS = 0.1  # a look-up that waits this long for a thread starts one more

LOOKUP_FAILURES = (Reason.DNS_NOT_FOUND, Reason.DNS_TIMEOUT, Reason.DNS_ERROR, Reason.LOCAL_RESOURCES)

_NO_THREAD = ProbeResult(Reason.DNS_TIMEOUT, local_error=True, error=errno.EAGAIN)  # no query was sent: no evidence against the target

log = logging.getLogger(__name__)


class Lookups(NamedTuple):
    """A name's look-ups since it was listed: how many there were, and how many failed by reason (in the order of LOOKUP_FAILURES).

    `addresses` is the number of addresses in the last successful one, `changes` how often they differed from those before.
    """

    made: int = 0
    failures: tuple[int, ...] = (0,) * len(LOOKUP_FAILURES)
    addresses: int = 0
    changes: int = 0


class _Name:
    """One name: its last answer, the addresses in use, and the state of its look-up (times are monotonic seconds)."""

    __slots__ = ("addresses_hash", "answer", "due", "failing", "host", "lookups", "probed", "requested", "running")

    def __init__(self, host: str, now: float) -> None:
        self.host = host
        self.answer: LookupResult | None = None
        self.probed: tuple[SocketAddress, ...] = ()
        self.lookups = Lookups()
        self.addresses_hash = 0
        self.due = self.requested = now
        self.running = self.failing = False

    def store(self, answer: LookupResult, now: float) -> None:
        """Store an answer. Addresses in use that it still contains are kept: round-robin answers must not make the target flap."""
        self.failing = bool(answer.failure)
        self.due = now + (RETRY_SECONDS if answer.failure else REFRESH_SECONDS * random.uniform(0.9, 1.0))  # noqa: S311 — spreads load, no secret
        self._count(answer)
        if not answer.failure:
            found = dict.fromkeys(answer.addresses)
            kept = {address: None for address in self.probed if address in found}
            self.probed = tuple(kept | found)[:MAX_PROBED]
        self.answer = answer._replace(addresses=answer.addresses[:MAX_ADDRESSES])
        self.running = False  # last, since the sweep reads without the lock

    def _count(self, answer: LookupResult) -> None:
        made, failures, addresses, changes = self.lookups
        if answer.failure:
            index = LOOKUP_FAILURES.index(answer.failure.reason)
            failures = (*failures[:index], failures[index] + 1, *failures[index + 1 :])
        else:
            new_hash = hash(frozenset(answer.addresses))  # all of them, in any order, without keeping them
            if self.addresses_hash and new_hash != self.addresses_hash:
                changes += 1
                probed = ",".join(str(address.sockaddr[0]) for address in answer.addresses[:MAX_PROBED])
                log.info("addresses changed name=%s addresses=%s", self.host, probed)
            self.addresses_hash, addresses = new_hash, len(answer.addresses)
        self.lookups = Lookups(made + 1, failures, addresses, changes)


class Resolver:
    """The names in use and their last answers. Threads exist only while there are names; no method waits for a look-up."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._names: dict[str, _Name] = {}
        self._changed = threading.Condition()
        self._threads = self._idle = 0
        self._closed = False

    def set_names(self, hosts: Iterable[str]) -> None:
        """Set the names in use: new ones are looked up at once, others are dropped."""
        now = time.monotonic()
        with self._changed:
            self._names = {host: self._names.get(host) or _Name(host, now) for host in hosts}
            self._changed.notify_all()
        self._grow()

    def resolve(self, host: str, port: int) -> SocketAddress | ProbeResult | None:
        """Return one address of a name, always the same, or its look-up's failure; None while the first look-up is in time."""
        planned = self.resolve_all(host, port)
        return planned[0] if isinstance(planned, list) else planned

    def resolve_all(self, host: str, port: int) -> list[SocketAddress] | ProbeResult | None:
        """Return all addresses of a name, MAX_PROBED at most, or its look-up's failure; None as for `resolve()`."""
        name = self._names[host]
        now = time.monotonic()
        waited = now - name.requested
        if name.running and waited > self._deadline:
            name.failing = True
            return ProbeResult(Reason.DNS_TIMEOUT)
        if name.answer is None:
            if waited > SLOW_SECONDS:
                self._grow()
            return _NO_THREAD if waited > self._deadline and not name.running else None
        if name.answer.failure:
            return name.answer.failure
        return [SocketAddress(family, (sockaddr[0], port, *sockaddr[2:])) for family, sockaddr in name.probed]

    def lookups(self, host: str) -> Lookups:
        """Return the counts of a name's look-ups."""
        return self._names[host].lookups

    def seconds(self, host: str) -> float | None:
        """Return the duration of the last look-up; for one that hangs, its duration so far."""
        name = self._names[host]
        if name.running and (waited := time.monotonic() - name.requested) > self._deadline:
            return waited
        return name.answer.seconds if name.answer else None

    def close(self) -> None:
        """End the threads; one that hangs in a look-up ends when that does, or with the process."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _grow(self) -> None:
        """Start one more thread if a name is due and no thread is idle."""
        with self._changed:
            if self._closed or self._idle or self._threads >= MAX_THREADS:
                return
            name = self._pick()
            if name is None or name.due > time.monotonic():
                return
            try:
                threading.Thread(target=self._work, name=f"probe-dns-{self._threads + 1}", daemon=True).start()
            except RuntimeError as error:  # names fail as a local error, addresses are still probed
                log.warning("look-up thread failed to start error=%s", error)
            else:
                self._threads += 1

    def _work(self) -> None:
        while (name := self._take()) is not None:
            answer = look_up(name.host)
            with self._changed:
                name.store(answer, time.monotonic())
                self._changed.notify()

    def _take(self) -> _Name | None:
        """Wait for a name that is due; None when more threads are idle than needed."""
        with self._changed:
            while self._names and not self._closed:
                now = time.monotonic()
                if (name := self._pick()) and name.due <= now:
                    name.running, name.requested = True, (now if name.answer else name.requested)
                    return name
                if self._idle >= MAX_IDLE_THREADS:
                    break
                self._idle += 1
                self._changed.wait(name.due - now if name else None)
                self._idle -= 1
            self._threads -= 1
            return None

    def _pick(self) -> _Name | None:
        """Return the name that is due first; failing ones may use only some of the threads."""
        full = sum(name.running and name.failing for name in self._names.values()) >= MAX_THREADS_FAILING
        free = [name for name in self._names.values() if not name.running and not (full and name.failing)]
        return min(free, key=lambda name: name.due, default=None)

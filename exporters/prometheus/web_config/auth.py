"""Basic authentication (RFC 7617) against bcrypt hashes, which take 60 ms each: off the server's loop, and once per right password."""

from __future__ import annotations

import binascii
import hmac
import os
import threading
from base64 import b64decode
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_BCRYPT_BYTES = 72  # all that bcrypt looks at


class Credentials(NamedTuple):
    """What a client says it is."""

    user: bytes
    password: bytes


def credentials(authorization: bytes) -> Credentials | None:
    """Read an `Authorization` header; None where it is none of ours."""
    scheme, _, encoded = authorization.strip().partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        user, colon, password = b64decode(encoded.strip(), validate=True).partition(b":")
    except binascii.Error:
        return None
    return Credentials(user, password[:_BCRYPT_BYTES]) if colon else None


class Users:
    """The users of one web configuration. Only right passwords are remembered, one for each user, as a keyed digest."""

    def __init__(self, hashes: Mapping[bytes, bytes]) -> None:
        import bcrypt  # noqa: PLC0415 — paid only where there are users

        self._bcrypt = bcrypt
        self._hashes = dict(hashes)
        self._key = os.urandom(32)
        self._right: dict[bytes, bytes] = {}
        cost = max(int(hashed.split(b"$")[2]) for hashed in hashes.values())
        self._nobody = bcrypt.gensalt(cost) + b"." * 31  # no password's hash, and as dear as the dearest

    def known(self, who: Credentials) -> bool:
        """Whether this user was here with this password; takes microseconds, and the same time for any password."""
        return hmac.compare_digest(self._right.get(who.user, b"\0" * 32), self._digest(who))

    def verify(self, who: Credentials) -> bool:
        """Ask bcrypt; an unknown user costs what a known one does. From the worker's thread."""
        hashed = self._hashes.get(who.user)
        try:
            right = self._bcrypt.checkpw(who.password, hashed or self._nobody)
        except ValueError:  # a password that bcrypt does not take
            return False
        return right and hashed is not None

    def remember(self, who: Credentials) -> None:
        """Let in at once, from now on, who was verified."""
        self._right[who.user] = self._digest(who)

    def _digest(self, who: Credentials) -> bytes:
        """Digest user and password; the length in front keeps `a` + `bc` and `ab` + `c` apart."""
        message = len(who.user).to_bytes(8, "big") + who.user + who.password
        return hmac.digest(self._key, message, "sha256")


class Doorkeeper:
    """One thread that asks bcrypt, a client's address at a time: a flood from one delays the others by one turn each.

    Made and started by the first question. `answered` is called from its thread, once for each question that was not withdrawn.
    """

    def __init__(self, answered: Callable[[int, bool], None]) -> None:
        self._answered = answered
        self._waiting: OrderedDict[str, deque[tuple[int, Users, Credentials]]] = OrderedDict()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def ask(self, question: int, address: str, users: Users, who: Credentials) -> None:
        """Queue a question; the caller bounds how many are out, since each belongs to a connection."""
        with self._change:
            self._waiting.setdefault(address, deque()).append((question, users, who))
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="vitald-auth", daemon=True)
                thread.start()  # may raise where there are no threads left: then the next question tries again
                self._thread = thread
            self._change.notify()

    def withdraw(self, question: int, address: str) -> None:
        """Forget a question whose client is gone."""
        with self._change:
            queue = self._waiting.get(address)
            if queue is None:
                return
            kept = deque(entry for entry in queue if entry[0] != question)
            if kept:
                self._waiting[address] = kept
            else:
                del self._waiting[address]

    def close(self) -> None:
        """Stop after the hash that is being made; nobody waits for it."""
        with self._change:
            self._closed = True
            self._waiting.clear()
            self._change.notify()

    def _run(self) -> None:
        while (entry := self._next()) is not None:
            question, users, who = entry
            self._answered(question, users.verify(who))

    def _next(self) -> tuple[int, Users, Credentials] | None:
        with self._change:
            while not self._waiting and not self._closed:
                self._change.wait()
            if self._closed:
                return None
            address, queue = self._waiting.popitem(last=False)
            entry = queue.popleft()
            if queue:
                self._waiting[address] = queue  # to the end of the line
            return entry

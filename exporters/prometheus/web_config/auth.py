"""Basic authentication (RFC 7617) against bcrypt hashes, which take 60 ms each: outside the server's loop, and once per valid password."""

from __future__ import annotations

import binascii
import hmac
import os
import threading
from base64 import b64decode
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_BCRYPT_BYTES = 72  # bcrypt ignores the rest
Client = TypeVar("Client")


class Credentials(NamedTuple):
    """User and password as sent by a client."""

    user: bytes
    password: bytes


def parse_authorization(header: bytes) -> Credentials | None:
    """Parse an `Authorization` header; None if it is not a valid one of the scheme Basic."""
    scheme, _, encoded = header.strip().partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        user, colon, password = b64decode(encoded.strip(), validate=True).partition(b":")
    except binascii.Error:
        return None
    return Credentials(user, password[:_BCRYPT_BYTES]) if colon else None


class Users:
    """The users of one web config. Only valid passwords are cached, one per user, as a keyed digest."""

    def __init__(self, hashes: Mapping[bytes, bytes]) -> None:
        import bcrypt  # noqa: PLC0415 — paid only where there are users

        self._bcrypt = bcrypt
        self._hashes = dict(hashes)
        self._key = os.urandom(32)
        self._cached: dict[bytes, bytes] = {}
        cost = max(int(hashed.split(b"$")[2]) for hashed in hashes.values())
        self._dummy_hash = bcrypt.gensalt(cost) + b"." * 31  # no password's hash, and of the highest cost in use

    def is_cached(self, credentials: Credentials) -> bool:
        """Return whether this password was verified before; takes microseconds, and the same time for any password."""
        return hmac.compare_digest(self._cached.get(credentials.user, b"\0" * 32), self._digest(credentials))

    def verify(self, credentials: Credentials) -> bool:
        """Verify with bcrypt; an unknown user takes as long as a known one. Called from the verifier's thread."""
        hashed = self._hashes.get(credentials.user)
        try:
            is_valid = self._bcrypt.checkpw(credentials.password, hashed or self._dummy_hash)
        except ValueError:  # a password that bcrypt does not accept
            return False
        return is_valid and hashed is not None

    def cache(self, credentials: Credentials) -> None:
        """Cache a password that was verified."""
        self._cached[credentials.user] = self._digest(credentials)

    def _digest(self, credentials: Credentials) -> bytes:
        """Digest user and password; the length in front keeps `a` + `bc` and `ab` + `c` apart."""
        message = len(credentials.user).to_bytes(8, "big") + credentials.user + credentials.password
        return hmac.digest(self._key, message, "sha256")


class PasswordVerifier(Generic[Client]):
    """One thread that calls bcrypt, in turn for each client address: a flood from one delays the others by one hash per turn.

    The thread is started by the first client. `on_result` is called from it, once for each client that was not cancelled.
    """

    def __init__(self, on_result: Callable[[Client, bool], None]) -> None:
        self._on_result = on_result
        self._queues: OrderedDict[str, deque[tuple[Client, Users, Credentials]]] = OrderedDict()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, client: Client, address: str, users: Users, credentials: Credentials) -> None:
        """Queue a client; each is a connection, whose number http/connection_table limits."""
        with self._change:
            self._queues.setdefault(address, deque()).append((client, users, credentials))
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="vitald-auth", daemon=True)
                thread.start()  # may raise where there are no threads left: then the next client tries again
                self._thread = thread
            self._change.notify()

    def cancel(self, client: Client, address: str) -> None:
        """Remove a client from its queue."""
        with self._change:
            queue = self._queues.get(address)
            if queue is None:
                return
            kept = deque(entry for entry in queue if entry[0] is not client)
            if kept:
                self._queues[address] = kept
            else:
                del self._queues[address]

    def close(self) -> None:
        """Stop after the hash in progress; nothing waits for it."""
        with self._change:
            self._closed = True
            self._queues.clear()
            self._change.notify()

    def _run(self) -> None:
        while (entry := self._next()) is not None:
            client, users, credentials = entry
            self._on_result(client, users.verify(credentials))

    def _next(self) -> tuple[Client, Users, Credentials] | None:
        with self._change:
            while not self._queues and not self._closed:
                self._change.wait()
            if self._closed:
                return None
            address, queue = self._queues.popitem(last=False)
            entry = queue.popleft()
            if queue:
                self._queues[address] = queue  # behind the other addresses
            return entry

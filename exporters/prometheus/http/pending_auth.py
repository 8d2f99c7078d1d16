"""Connections whose password is being verified: between the server's loop and the verifier's thread."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from exporters.prometheus.web_config.auth import PasswordVerifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporters.prometheus.http.connection import Connection
    from exporters.prometheus.web_config.auth import Credentials, Users


class PendingAuth:
    """Connections that wait for the verifier. `on_result` is called from its thread when there is a result; the rest is the loop's."""

    def __init__(self, on_result: Callable[[], None]) -> None:
        self._on_result = on_result
        self._verifier = PasswordVerifier(self._add_result)
        self._results: deque[tuple[Connection, bool]] = deque()

    def submit(self, connection: Connection, users: Users, credentials: Credentials) -> None:
        """Queue a connection's password for verification; one at a time."""
        self._verifier.submit(connection, connection.address, users, credentials)

    def results(self) -> Iterator[tuple[Connection, bool]]:
        """Yield the new results, also of connections that were closed meanwhile."""
        while self._results:
            yield self._results.popleft()

    def cancel(self, connection: Connection) -> None:
        """Drop the verification of a connection that is closed."""
        self._verifier.cancel(connection, connection.address)

    def close(self) -> None:
        """Stop the verifier; from any thread."""
        self._verifier.close()

    def _add_result(self, connection: Connection, is_valid: bool) -> None:  # noqa: FBT001 — the verifier's thread calls this
        self._results.append((connection, is_valid))
        self._on_result()

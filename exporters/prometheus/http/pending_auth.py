"""Passwords that are looked at, and by whom they were given: between the server's loop and the doorkeeper's thread."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from exporters.prometheus.web_config.auth import Doorkeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporters.prometheus.http.connection import Connection
    from exporters.prometheus.web_config.auth import Credentials, Users


class Questions:
    """Who waits for the doorkeeper's word. `wake` is called from the doorkeeper's thread when there is one; all else is the loop's."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._doorkeeper = Doorkeeper(self._answered)
        self._waiting: dict[int, Connection] = {}
        self._asked = 0
        self._answers: deque[tuple[int, bool]] = deque()

    def ask(self, connection: Connection, users: Users, who: Credentials) -> None:
        """Have a connection's password looked at."""
        self._asked += 1
        self._waiting[self._asked] = connection
        self._doorkeeper.ask(self._asked, connection.address, users, who)

    def answers(self) -> Iterator[tuple[Connection, bool]]:
        """Give the answers that have come since, for those who are still there."""
        while self._answers:
            question, right = self._answers.popleft()
            if connection := self._waiting.pop(question, None):
                yield connection, right

    def withdraw(self, connection: Connection) -> None:
        """Spare the doorkeeper what nobody waits for any more."""
        for question in [number for number, one in self._waiting.items() if one is connection]:
            del self._waiting[question]
            self._doorkeeper.withdraw(question, connection.address)

    def close(self) -> None:
        """Ask no more; from any thread."""
        self._doorkeeper.close()

    def _answered(self, question: int, right: bool) -> None:  # noqa: FBT001 — the doorkeeper's thread calls this
        self._answers.append((question, right))
        self._wake()

"""What the server counts about itself, in the house's words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from collectors.model import Family, Kind, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUESTS = Family("http_requests", Kind.COUNTER, "HTTP requests answered, by status code.", ("code",))
CONNECTIONS = Family("http_connections", Kind.GAUGE, "HTTP connections that are open.")
EVICTED = Family("http_connections_evicted", Kind.COUNTER, "HTTP connections thrown out before they were done, by reason.", ("reason",))
ACCEPT_ERRORS = Family("http_accept_errors", Kind.COUNTER, "Times that a new HTTP connection could not be accepted.")
HANDSHAKE_FAILURES = Family("http_tls_handshake_failures", Kind.COUNTER, "TLS handshakes that failed.")

CODES = (200, 400, 401, 404, 405, 413, 431, 500, 501, 503)
REASONS = ("bound", "deadline", "descriptors", "memory")


class Traffic:
    """Running totals; written by the server's thread, which also reads them."""

    def __init__(self) -> None:
        self.requests = Counter(dict.fromkeys(CODES, 0))
        self.evicted = Counter(dict.fromkeys(REASONS, 0))
        self.accept_errors = 0
        self.handshake_failures = 0
        self.connections = 0

    def measure(self) -> Iterator[Metric]:
        """Say it as metrics."""
        for code, count in self.requests.items():
            yield Metric(REQUESTS, count, (str(code),))
        for reason, count in self.evicted.items():
            yield Metric(EVICTED, count, (reason,))
        yield Metric(CONNECTIONS, self.connections)
        yield Metric(ACCEPT_ERRORS, self.accept_errors)
        yield Metric(HANDSHAKE_FAILURES, self.handshake_failures)

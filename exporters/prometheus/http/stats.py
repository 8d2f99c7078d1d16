"""Counters of the HTTP server, and their metrics."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from collectors.model import Family, Kind, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUESTS = Family("http_requests", Kind.COUNTER, "HTTP requests answered since the start, by status code.", ("code",))
CONNECTIONS = Family("http_connections", Kind.GAUGE, "Open HTTP connections.")
EVICTED = Family("http_connections_evicted", Kind.COUNTER, "HTTP connections evicted since the start, by reason.", ("reason",))
ACCEPT_ERRORS = Family("http_accept_errors", Kind.COUNTER, "HTTP connections that could not be accepted since the start.")
HANDSHAKE_FAILURES = Family("http_tls_handshake_failures", Kind.COUNTER, "Failed TLS handshakes since the start.")

CODES = (200, 400, 401, 403, 404, 405, 413, 431, 500, 501, 503, 505)
REASONS = ("deadline", "descriptors", "limit", "memory")


class HttpStats:
    """Running totals; written by the server's thread, which also reads them."""

    def __init__(self) -> None:
        self.requests = Counter(dict.fromkeys(CODES, 0))
        self.evicted = Counter(dict.fromkeys(REASONS, 0))
        self.accept_errors = 0
        self.handshake_failures = 0
        self.connections = 0

    def measure(self) -> Iterator[Metric]:
        """Yield the totals as metrics."""
        for code, count in self.requests.items():
            yield Metric(REQUESTS, count, (str(code),))
        for reason, count in self.evicted.items():
            yield Metric(EVICTED, count, (reason,))
        yield Metric(CONNECTIONS, self.connections)
        yield Metric(ACCEPT_ERRORS, self.accept_errors)
        yield Metric(HANDSHAKE_FAILURES, self.handshake_failures)

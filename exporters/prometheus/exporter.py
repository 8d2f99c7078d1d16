"""Reports on HTTP, in Prometheus' words: what the daemon starts and stops."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from collectors.cardinality import SERIES_DROPPED, Dropped
from collectors.model import BadInput, Family, Kind, Metric, Report
from exporters.prometheus.exposition.exposition import Exposition
from exporters.prometheus.exposition.names import exported_name
from exporters.prometheus.http.listen import listen, written
from exporters.prometheus.http.server import Server
from exporters.prometheus.routes import Pages, Request, Response
from exporters.prometheus.web_config.reloader import Door

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from exporters.prometheus.status_page.page import Status

_STOP_SECONDS = 1.0
_RELOADED = Family(
    "web_config_last_reload_successful", Kind.GAUGE, "Whether the web config file, as it is now, is in force: 1, or 0 where it was refused."
)
_RELOADED_AT = Family(
    "web_config_last_reload_success_timestamp_seconds", Kind.GAUGE, "When the web config file in force was read, in Unix time."
)
_RESERVED = ("/-/healthy", "/-/ready")


class Exporter:
    """Serves the latest reports on HTTP, from one thread of its own.

    `reports` gives what the Board holds, and `status` what the page at `/` shows: neither may block. `dropped` is the daemon's one
    counter of folded series, which the exporter adds to and exports as `vitald_series_dropped_total`. The constructor reads the web
    config file and binds: BadInput says what is wrong with either.
    """

    def __init__(  # noqa: PLR0913 — each is a flag of the daemon's
        self,
        reports: Callable[[], Sequence[Report]],
        *,
        addresses: Sequence[str],
        telemetry_path: str = "/metrics",
        web_config: Path | None = None,
        status: Callable[[], Status],
        ready: Callable[[], bool],
        dropped: Dropped | None = None,
    ) -> None:
        _check_telemetry_path(telemetry_path)
        self._reports = reports
        self._dropped = Dropped() if dropped is None else dropped
        self._exposition = Exposition(self._dropped)
        self._pages = Pages(telemetry_path=telemetry_path, status=status, ready=ready, exposition=self._exposition)
        self._has_web_config = web_config is not None
        self._door = Door(web_config)
        listeners = listen(addresses)
        self.addresses = tuple(map(written, listeners))
        scheme = "https" if self._door.access.context else "http"
        self.urls = tuple(f"{scheme}://{address}{telemetry_path}" for address in self.addresses)
        self._server = Server(listeners, self._door, self._answer)
        self._thread = threading.Thread(target=self._server.run, name="vitald-http", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving within a second, whatever clients do; more than once does no harm."""
        self._server.stop()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        if not self._thread.is_alive():  # else it is in the midst of an answer; it ends after that, or with the process
            self._server.close()

    def _answer(self, request: Request) -> Response:
        return self._pages.answer(request, self._all_reports)

    def _all_reports(self) -> list[Report]:
        return [*self._reports(), Report("exporter", time.time(), metrics=tuple(self._measure()))]

    def _measure(self) -> Iterator[Metric]:
        yield from self._server.traffic.measure()
        for family, series in self._dropped.totals().items():
            yield Metric(SERIES_DROPPED, series, (exported_name(family),))
        if self._has_web_config:
            yield Metric(_RELOADED, float(self._door.in_force))
            yield Metric(_RELOADED_AT, self._door.reloaded_at)


def _check_telemetry_path(path: str) -> None:
    plain = path.isascii() and path.isprintable() and not set(path) & set(" ?#")
    if not path.startswith("/") or not plain or path in _RESERVED:
        msg = f"telemetry path {path!r:.80}"
        raise BadInput(msg + ": must begin with a slash, have no blank, ? or #, and be neither /-/healthy nor /-/ready; /metrics is right")

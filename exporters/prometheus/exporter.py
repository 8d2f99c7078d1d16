"""Prometheus exporter: serves reports on HTTP. The daemon starts and stops it."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from collectors.cardinality import SERIES_DROPPED, Dropped
from collectors.model import BadInput, Family, Kind, Metric, Report
from exporters.prometheus.access import LOCAL
from exporters.prometheus.exposition.exposition import Exposition
from exporters.prometheus.exposition.families import exported_name
from exporters.prometheus.http.listen import bound_address, check_address, listen
from exporters.prometheus.http.local_socket import LocalSocket
from exporters.prometheus.http.server import HttpServer
from exporters.prometheus.routes import Routes
from exporters.prometheus.web_config.reloader import WebConfigReloader, check_web_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from exporters.prometheus.status_page.page import Status

_STOP_SECONDS = 1.0
_RELOAD_SUCCESSFUL = Family(
    "web_config_last_reload_successful", Kind.GAUGE, "Success of the last web config reload: 1, or 0 if it was rejected or failed."
)
_RELOADED_AT = Family(
    "web_config_last_reload_success_timestamp_seconds", Kind.GAUGE, "Unix time of the last successful web config reload, or of the start."
)
_RESERVED = ("/-/healthy", "/-/ready", "/-/status")


class Exporter:
    """Serves the latest reports on HTTP, from one thread of its own.

    `reports` returns what the Board holds, `status` what the page at `/` shows, `document` the JSON at `/-/status`, `counts` how many
    subjects there are of each level, which is all that clients without access get (`access`: one of `access.SETTINGS`): none may block.
    `local_socket` is the path of a Unix socket that serves the same pages to those who may open it. `dropped` is the daemon's one
    counter of folded series, which the exporter adds to and exports as `vitald_series_dropped_total`. The constructor reads the web
    config file and binds, and raises BadInput if either is wrong.
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
        document: Callable[[], Mapping[str, Any]] = dict,
        counts: Callable[[], Mapping[str, int]] = dict,
        access: str = LOCAL,
        local_socket: Path | None = None,
        dropped: Dropped | None = None,
    ) -> None:
        check_telemetry_path(telemetry_path)
        self._reports = reports
        self._dropped = Dropped() if dropped is None else dropped
        self._has_web_config = web_config is not None
        self._reloader = WebConfigReloader(web_config)
        self._local_socket = LocalSocket(local_socket) if local_socket is not None else None
        try:
            listeners = listen(addresses)
        except BadInput:
            self._remove_local_socket()
            raise
        self.addresses = tuple(map(bound_address, listeners))
        if self._local_socket is not None:
            listeners.append(self._local_socket.listener)
        scheme = "https" if self._reloader.policy.context else "http"
        self.urls = tuple(f"{scheme}://{address}{telemetry_path}" for address in self.addresses)
        routes = Routes(self._all_reports, Exposition(self._dropped), telemetry_path, status, ready, document, counts, access)
        self._server = HttpServer(listeners, self._reloader, routes.respond)
        self._thread = threading.Thread(target=self._server.run, name="vitald-http", daemon=True)

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving within a second, whatever clients do; may be called more than once."""
        self._server.stop()
        self._remove_local_socket()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        if not self._thread.is_alive():  # else it is computing a response; it ends after that, or with the process
            self._server.close()

    def _remove_local_socket(self) -> None:
        if self._local_socket is not None:
            self._local_socket.close()

    def _all_reports(self) -> list[Report]:
        return [*self._reports(), Report("exporter", time.time(), metrics=tuple(self._measure()))]

    def _measure(self) -> Iterator[Metric]:
        yield from self._server.stats.measure()
        for family, series in self._dropped.totals().items():
            yield Metric(SERIES_DROPPED, series, (exported_name(family),))
        if self._has_web_config:
            yield Metric(_RELOAD_SUCCESSFUL, float(self._reloader.last_reload_successful))
            yield Metric(_RELOADED_AT, self._reloader.reloaded_at)


def check_settings(addresses: Sequence[str], telemetry_path: str, web_config: Path | None) -> Iterator[str]:
    """Yield what the constructor would refuse, a line each; that ports are free is not checked."""
    checks: list[Callable[[], None]] = [lambda: check_telemetry_path(telemetry_path)]
    checks += [partial(check_address, address) for address in dict.fromkeys(addresses)]
    if web_config is not None:
        checks.append(partial(check_web_config, web_config))
    for check in checks:
        try:
            check()
        except BadInput as error:
            yield from error.problems


def check_telemetry_path(path: str) -> None:
    """Raise `BadInput` for a path that is no path of a page, or that of another page."""
    plain = path.isascii() and path.isprintable() and not set(path) & set(" ?#")
    if not path.startswith("/") or not plain or path in _RESERVED:
        reason = "not usable; expected a leading slash, no blank, ? or #, and not /-/healthy, /-/ready or /-/status, as in /metrics"
        raise BadInput(f"telemetry path {path!r:.80}: {reason}")

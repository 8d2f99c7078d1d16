"""`vitald run`: builds the daemon from its parts, reloads on SIGHUP and stops on SIGTERM or SIGINT."""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collectors.cardinality import Dropped
from collectors.model import BadInput, InUse, NoSlot, Report
from collectors.packets import capability
from collectors.registry import COLLECTORS
from daemon.board import Board
from daemon.job import CollectorJob
from daemon.logging import FOLD_SECONDS
from daemon.process import TERMINATION, catch_signals, limit_arenas, trim_heap
from daemon.runner import HEARTBEAT_SECONDS, Runner
from daemon.self_metrics import VERSION, SelfMetrics
from daemon.state import StateDirectory, check
from daemon.status import unknown
from daemon.systemd import Notifier
from exporters.prometheus.exporter import Exporter, check_settings
from exporters.prometheus.http.local_socket import check_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from collectors.collector import Collector
    from collectors.model import CollectorContext, Slot
    from daemon import logging as logs
    from daemon.config import Config, Web
    from exporters.prometheus.status_page.page import Status

log = logging.getLogger("vitald")

HEARTBEATS_PER_SAVE = 6


class Application:
    """The daemon: state directory, collector jobs, runner and exporter."""

    def __init__(self, read_config: Callable[[], Config], roots: CollectorContext, state: Path, handler: logs.LineHandler) -> None:
        """Read settings, lock the state directory and bind the port. Raises `BadInput` where one of these fails."""
        self._read_config = read_config
        self._handler = handler
        self._signals = catch_signals()
        self._ready = False
        self._heartbeats = 0
        config = read_config()
        if problems := start_problems(config.web, state):
            raise BadInput(*problems)
        self._web = config.web
        self._notifier = Notifier()
        self._state: StateDirectory | None = None
        try:
            self._state = StateDirectory(state)
        except OSError as error:  # the file system does not allow one
            log.warning("state directory unavailable, running without state path=%s error=%s", state, error.strerror)
        self._board = Board(self._slot("health"), self._send_status)
        self._self_metrics = SelfMetrics(handler, self._state)
        self._dropped = Dropped()
        self._exporter = Exporter(
            self._reports,
            addresses=config.web.listen_addresses,
            telemetry_path=config.web.telemetry_path,
            web_config=Path(config.web.config_file) if config.web.config_file else None,
            status=self._status,
            ready=lambda: self._ready,
            document=self._document,
            counts=self._counts,
            access=config.web.status_page,
            local_socket=config.web.socket_path,
            dropped=self._dropped,
        )
        self._roots = roots
        watchdog = self._notifier.watchdog_seconds
        self._runner = Runner(self._board, self._heartbeat, min(HEARTBEAT_SECONDS, watchdog / 3) if watchdog else HEARTBEAT_SECONDS)
        self._jobs = self._build(config, {})

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT."""
        self._exporter.start()
        self._runner.start(self._jobs)
        self._ready = True
        for url in self._exporter.urls:
            log.info("vitald started version=%s url=%s", VERSION, url)
        self._send_status()  # before READY=1, so that who waited for the start finds a status line
        self._notifier.send("READY=1")
        gc.collect()
        gc.freeze()  # objects made at start-up stay: no need to traverse them at each collection
        while not TERMINATION & set(self._signals.recv(4096)):  # pending SIGHUPs cause one reload
            self._reload()
        self._stop()
        return 0

    def _reports(self) -> tuple[Report, ...]:
        return (*self._board.reports(), self._self_metrics.report(self._runner.jobs(), self._board.findings()))

    def _status(self) -> Status:
        from daemon.status.content import status  # noqa: PLC0415 — needed where the status page is opened only

        return status(self._board, self._runner.jobs())

    def _document(self) -> Mapping[str, Any]:
        from daemon.status.document import document  # noqa: PLC0415 — needed for `vitald status` only

        return document(self._board, self._runner.jobs(), self._self_metrics)

    def _counts(self) -> Mapping[str, int]:
        return unknown.count_levels(verdict for verdict, _ in unknown.findings(self._board, self._runner.jobs()))

    def _slot(self, name: str) -> Slot:
        return self._state.slot(name) if self._state else NoSlot()

    def _build(self, config: Config, old: dict[str, CollectorJob]) -> dict[str, CollectorJob]:
        """Return a job for each enabled collector; one whose settings did not change is kept with its history."""
        jobs = {}
        for name, settings in config.collectors.items():
            if settings.enabled:
                job = old.get(name)
                jobs[name] = job if job and job.settings == settings else CollectorJob(self._make(name, settings), settings, self._dropped)
        return jobs

    def _make(self, name: str, settings: Any) -> Collector[Any]:  # noqa: ANN401 — each collector's own struct
        cache = self._state.path if self._state else None
        context = replace(self._roots, listening=self._exporter.addresses, slot=self._slot(name), cache=cache)
        return COLLECTORS[name](settings, context)

    def _heartbeat(self) -> None:
        """Ping the watchdog. Runs in the scheduler's thread, so that a stuck scheduler stops the pings."""
        self._notifier.watchdog()
        self._send_status()
        self._handler.flush_counts(FOLD_SECONDS)
        self._heartbeats += 1
        if self._heartbeats % HEARTBEATS_PER_SAVE == 0:
            self._board.save()
            trim_heap()

    def _send_status(self) -> None:
        if self._ready:
            self._notifier.status(unknown.summary(unknown.findings(self._board, self._runner.jobs())))

    def _reload(self) -> None:
        self._notifier.reloading()
        try:
            config = self._read_config()
            jobs = self._build(config, self._jobs)
        except BadInput as error:
            self._self_metrics.on_reload(success=False)
            for problem in error.problems:
                log.error('config reload failed, keeping the previous configuration error="%s"', problem)  # noqa: TRY400 — a user error
        except Exception:
            self._self_metrics.on_reload(success=False)
            log.exception("config reload failed, keeping the previous configuration")
        else:
            changed = [name for name in COLLECTORS if jobs.get(name) is not self._jobs.get(name)]
            self._runner.replace(jobs)
            self._jobs = jobs
            self._self_metrics.on_reload(success=True)
            log.info("config reloaded changed=%s", ",".join(changed) or "none")
            if config.web != self._web:
                log.warning("config section [web] changed, which takes effect at a restart only")
        self._notifier.send("READY=1")

    def _stop(self) -> None:
        self._notifier.send("STOPPING=1")
        log.info("stopping")
        self._runner.stop()
        self._exporter.close()
        self._board.save()
        if self._state:
            self._state.close()
        self._handler.flush_counts(0)


def start_problems(web: Web, state: Path | None) -> list[str]:
    """Return what a start would refuse of the HTTP server and the state directory, a line each; what is in use by others is not checked."""
    found = [*check_settings(web.listen_addresses, web.telemetry_path, Path(web.config_file) if web.config_file else None)]
    try:
        if (path := web.socket_path) is not None:
            check_path(path)
    except BadInput as error:
        found += error.problems
    try:
        if state is not None:
            check(state)
    except BadInput as error:
        found += error.problems
    return found


def main(read_config: Callable[[], Config], roots: CollectorContext, state: Path, handler: logs.LineHandler) -> int:
    """Run the daemon; return the exit status."""
    faulthandler.enable()
    limit_arenas()
    try:
        capability.drop()
    except OSError as error:
        log.warning("CAP_NET_RAW not dropped, the daemon keeps it error=%s", error)
    try:
        code = Application(read_config, roots, state, handler).run()
    except BadInput as error:
        for problem in error.problems:
            log.critical("%s", problem)
        return 1 if isinstance(error, InUse) else 2
    except Exception:
        log.critical("vitald failed", exc_info=True)
        code = 1
    sys.stdout.flush()
    os._exit(code)  # without waiting for threads whose runs hang

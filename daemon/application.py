"""`vitald run`: puts the parts together, obeys signals, and goes in good order."""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collectors.cardinality import Dropped
from collectors.model import BadInput, CollectorContext, InUse, NoSlot, Report
from collectors.packets import capability
from collectors.registry import COLLECTORS
from daemon.allocator import give_back, one_arena
from daemon.board import Board
from daemon.job import CollectorJob
from daemon.runner import HEARTBEAT_SECONDS, Runner
from daemon.self_metrics import VERSION, SelfReport
from daemon.signals import ENDS, catch_signals
from daemon.state import StateDirectory
from daemon.systemd import Notifier
from exporters.prometheus.exporter import Exporter

if TYPE_CHECKING:
    from collections.abc import Callable

    from collectors.collector import Collector
    from collectors.model import Slot
    from daemon import logging as logs
    from daemon.config import Config
    from exporters.prometheus.status_page.page import Status

log = logging.getLogger("vitald")

SAVE_EVERY = 6  # heartbeats


class Application:
    """The daemon, from the first word to systemd to the last."""

    def __init__(self, read_config: Callable[[], Config], roots: CollectorContext, state: Path, handler: logs.LineHandler) -> None:
        """Read settings, lock the state, bind the port; BadInput says which of them cannot be had."""
        self._read_config = read_config
        self._handler = handler
        self._signals = catch_signals()
        self._ready = False
        self._beats = 0
        config = read_config()
        self._web = config.web
        self._notifier = Notifier()
        self._state = open_state(state)
        self._board = Board(self._slot("health"), self._say_status)
        self._self_report = SelfReport(handler, self._state)
        self._dropped = Dropped()
        self._exporter = Exporter(
            self._reports,
            addresses=config.web.listen_addresses,
            telemetry_path=config.web.telemetry_path,
            web_config=Path(config.web.config_file) if config.web.config_file else None,
            status=self._status,
            ready=lambda: self._ready,
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
            log.info("vitald %s is up: metrics at %s", VERSION, url)
        self._notifier.ready()
        self._say_status()
        gc.collect()
        gc.freeze()  # what start-up made stays: no need to look through it again and again
        while not ENDS & set(self._signals.recv(4096)):  # a hundred SIGHUPs at once are one
            self._reload()
        self._stop()
        return 0

    def _reports(self) -> tuple[Report, ...]:
        return (*self._board.reports(), self._self_report.report(self._runner.jobs(), self._board.findings()))

    def _status(self) -> Status:
        from daemon.status import status  # noqa: PLC0415 — costs nothing where nobody looks

        return status(self._board, self._runner.jobs())

    def _slot(self, name: str) -> Slot:
        return self._state.slot(name) if self._state else NoSlot()

    def _build(self, config: Config, old: dict[str, CollectorJob]) -> dict[str, CollectorJob]:
        """Make a job for each collector that is switched on; one whose settings did not change is kept as it is."""
        jobs = {}
        for name, settings in config.collectors.items():
            if settings.enabled:
                kept = old.get(name)
                jobs[name] = (
                    kept if kept and kept.settings == settings else CollectorJob(self._make(name, settings), settings, self._dropped)
                )
        return jobs

    def _make(self, name: str, settings: Any) -> Collector[Any]:  # noqa: ANN401 — each collector's own struct
        roots = self._roots
        cache = self._state.path if self._state else None
        host = CollectorContext(roots.proc, roots.sys, roots.root, self._exporter.addresses, self._slot(name), cache=cache)
        return COLLECTORS[name](settings, host)

    def _heartbeat(self) -> None:
        """Run in the scheduler's thread: if that is stuck, systemd hears nothing."""
        self._notifier.alive()
        self._handler.flush_due()
        self._beats += 1
        if self._beats % SAVE_EVERY == 0:
            self._board.save()
            give_back()

    def _say_status(self) -> None:
        if self._ready:
            self._notifier.status(self._board.summary())

    def _reload(self) -> None:
        self._notifier.reloading()
        try:
            config = self._read_config()
            jobs = self._build(config, self._jobs)
        except BadInput as error:
            self._self_report.reload_ok = False
            log.error("settings not taken, the old ones stay: %s", error)  # noqa: TRY400 — the line says it all
        else:
            changed = [name for name in COLLECTORS if jobs.get(name) is not self._jobs.get(name)]
            self._runner.replace(jobs)
            self._jobs = jobs
            self._self_report.taken()
            log.info("settings read again; changed: %s", ", ".join(changed) or "nothing")
            if config.web != self._web:
                log.warning("[web] has changed; listening goes on as before until a restart")
        self._notifier.ready()

    def _stop(self) -> None:
        self._notifier.stopping()
        log.info("stopping")
        self._runner.stop()
        self._exporter.close()
        self._board.save()
        if self._state:
            self._state.close()
        self._handler.flush_all()


def open_state(path: Path) -> StateDirectory | None:
    """Open and lock the state directory; without one that can be had at all, vitald runs on and remembers nothing."""
    try:
        return StateDirectory(path)
    except OSError as error:
        log.warning("%s: %s; running without state: what a restart forgets is lost (--state.directory names another)", path, error.strerror)
        return None


def main(read_config: Callable[[], Config], roots: CollectorContext, state: Path, handler: logs.LineHandler) -> int:
    """Run the daemon; the exit code is for the shell and for systemd."""
    faulthandler.enable()
    one_arena()
    try:
        capability.drop()
    except OSError as error:
        log.warning("CAP_NET_RAW could not be set aside and stays with the daemon: %s", error)
    try:
        code = Application(read_config, roots, state, handler).run()
    except BadInput as error:
        log.critical("%s", error)
        return 1 if isinstance(error, InUse) else 2
    sys.stdout.flush()
    os._exit(code)  # runs that hang in their threads are not waited for

"""`vitald run`: builds the daemon from its parts, reloads on SIGHUP and stops on SIGTERM or SIGINT."""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from collectors import disk
from collectors.cardinality import Dropped
from collectors.disk import DiskHangs, DiskTask
from collectors.model import BadInput, InUse, Report
from collectors.packets import capability
from collectors.registry import COLLECTORS
from daemon import self_judge
from daemon.board import Board
from daemon.job import CollectorJob
from daemon.logging import FOLD_SECONDS
from daemon.process import TERMINATION, StopReserve, catch_signals, limit_arenas, trim_heap
from daemon.runner import HEARTBEAT_SECONDS, Runner
from daemon.self_metrics import VERSION, SelfMetrics
from daemon.state import check
from daemon.state_store import PendingSlot, StateStore
from daemon.status import unknown
from daemon.systemd import Notifier
from exporters.prometheus.exporter import Exporter, check_settings
from exporters.prometheus.http.local_socket import check_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collectors.collector import Collector
    from collectors.model import CollectorContext, Slot
    from daemon import logging as logs
    from daemon.config import Config, Web
    from exporters.prometheus.status_page.page import Status

log = logging.getLogger("vitald")

HEARTBEATS_PER_SAVE = 6
STATE_SECONDS = 3.0  # that a start waits for the state directory
SETTINGS_SECONDS = 3.0  # that a start waits for the settings and the files that they name
RELOAD_SECONDS = 5.0  # after which a reload counts as failed; its result is applied when it is there
POLL_SECONDS = 0.5  # between two looks at what hangs, while something does
SLOW_SAVE_SECONDS = 10.0  # after which a save counts as failed, though it has not returned
STOP_SAVE_SECONDS = 1.5


class Application:
    """The daemon: state, collector jobs, runner and exporter. The main thread touches no disk: disk tasks do (`collectors.disk`)."""

    def __init__(self, read_config: ReadConfig, roots: CollectorContext, state: Path, handler: logs.LineHandler) -> None:
        """Read settings, lock the state directory and bind the port. Raises `BadInput` where one of these fails.

        What hangs is not waited for: it is taken as soon as it is there (`_take_late_results`).
        """
        self._read_config = read_config
        self._handler = handler
        self._signals = catch_signals()
        self._reserve = StopReserve()
        self._ready = False
        self._heartbeats = 0
        self._roots = roots
        self._pending_slots: dict[str, PendingSlot] = {}
        self._dropped = Dropped()
        self._jobs: dict[str, CollectorJob] = {}
        self._store = StateStore(state, ("health", *COLLECTORS))
        self._loading: DiskTask[Config] = DiskTask("settings file")
        config = self._first_config()
        try:
            self._exporter = self._make_exporter(config.web)
            self._open_state()
        except InUse:
            raise
        except BadInput as error:
            raise BadInput(*dict.fromkeys((*start_problems(config.web, state), *error.problems))) from None
        self._web = config.web
        self._notifier = Notifier()
        self._board = Board(self._slot("health"), self._send_status)
        self._self_metrics = SelfMetrics(handler, self._store)
        watchdog = self._notifier.watchdog_seconds
        self._runner = Runner(self._board, self._heartbeat, min(HEARTBEAT_SECONDS, watchdog / 3) if watchdog else HEARTBEAT_SECONDS)
        self._jobs = self._build(config, {})

    def _first_config(self) -> Config:
        """Return the settings; the defaults, with the flags, while their file hangs: they are then applied as by a reload."""
        try:
            return self._loading.run(lambda: self._read_config(default=False), SETTINGS_SECONDS)
        except DiskHangs as error:
            log.error('settings file hangs, starting with the defaults file=%s error="%s"', error.filename, error)  # noqa: TRY400
            return self._read_config(default=True)

    def _open_state(self) -> None:
        """Wait for the state directory; without it if it hangs, or if the file system does not allow one. Raises `BadInput`."""
        try:
            self._store.finish_opening(STATE_SECONDS)
        except DiskHangs as error:
            log.error('state directory hangs, starting without state until it answers path=%s error="%s"', self._store.path, error)  # noqa: TRY400
        except OSError as error:
            self._store.give_up(error.strerror or str(error))
            log.warning("state directory unavailable, running without state path=%s error=%s", self._store.path, error.strerror)

    def _make_exporter(self, web: Web) -> Exporter:
        return Exporter(
            self._reports,
            addresses=web.listen_addresses,
            telemetry_path=web.telemetry_path,
            web_config=Path(web.config_file) if web.config_file else None,
            status=self._status,
            ready=lambda: self._ready,
            document=self._document,
            counts=self._counts,
            access=web.status_page,
            local_socket=web.socket_path,
            dropped=self._dropped,
        )

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
        while not TERMINATION & (numbers := self._received()):
            self._take_late_results()
            if numbers:  # pending SIGHUPs cause one reload
                self._reload()
        self._stop()
        return 0

    def _received(self) -> set[int]:
        """Wait for signals; while a disk hangs that has something for us, at most POLL_SECONDS."""
        self._signals.settimeout(POLL_SECONDS if self._store.is_opening or self._loading.is_busy else None)
        try:
            return set(self._signals.recv(4096))
        except TimeoutError:
            return set()

    def _is_terminated(self) -> bool:
        """Return whether a signal to stop is waiting to be received."""
        self._signals.settimeout(0)
        try:
            return bool(TERMINATION & set(self._signals.recv(4096, socket.MSG_PEEK)))
        except BlockingIOError:
            return False

    def _take_late_results(self) -> None:
        """Apply what a disk that hung has answered: the settings, then the state."""
        if self._loading.is_busy and self._loading.ended():
            self._apply_settings()
        if self._store.is_opening:
            self._adopt_state()

    def _adopt_state(self) -> None:
        """Adopt the state that could not be read at the start. Collectors that went without theirs start again, with it."""
        try:
            self._store.finish_opening()
        except DiskHangs:
            return
        except (BadInput, OSError) as error:
            self._store.give_up(str(error))
            log.error("state directory unavailable, running without state path=%s error=%s", self._store.path, error)  # noqa: TRY400
            return
        without = [name for name, slot in self._pending_slots.items() if slot.was_used and name in self._jobs]
        log.info("state directory answers, its state is taken path=%s collectors=%s", self._store.path, ",".join(without) or "none")
        self._pending_slots.clear()
        self._board.adopt(self._slot("health"), without)
        jobs = dict(self._jobs)
        for name in without:
            settings = jobs[name].settings
            try:
                jobs[name] = CollectorJob(self._make(name, settings), settings, self._dropped)
            except BadInput as error:  # its packs have become invalid since
                log.error("collector not started again, its state is not taken collector=%s error=%s", name, error)  # noqa: TRY400
        self._runner.replace(jobs)
        self._jobs = jobs

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
        if self._store.is_open:
            return self._store.slot(name)
        return self._pending_slots.setdefault(name, PendingSlot())

    def _build(self, config: Config, old: dict[str, CollectorJob]) -> dict[str, CollectorJob]:
        """Return a job for each enabled collector; one whose settings did not change is kept with its history."""
        jobs = {}
        for name, settings in config.collectors.items():
            if settings.enabled:
                job = old.get(name)
                jobs[name] = job if job and job.settings == settings else CollectorJob(self._make(name, settings), settings, self._dropped)
        return jobs

    def _make(self, name: str, settings: Any) -> Collector[Any]:  # noqa: ANN401 — each collector's own struct
        cache = self._store.path if self._store.is_open else None
        context = replace(self._roots, listening=self._exporter.addresses, slot=self._slot(name), cache=cache)
        return COLLECTORS[name](settings, context)

    def _heartbeat(self) -> None:
        """Ping the watchdog. Runs in the scheduler's thread, so that a stuck scheduler stops the pings; touches no disk."""
        self._notifier.watchdog()
        disk.ensure_thread()
        self._store.check(SLOW_SAVE_SECONDS)
        self._board.publish(self_judge.report(self._store))
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
        """Read the settings again. While their file hangs a signal to stop is obeyed, and RELOAD_SECONDS later the reload has failed."""
        self._notifier.reloading()
        self._loading.start(lambda: self._read_config(default=False))
        end = time.monotonic() + RELOAD_SECONDS
        while not self._loading.ended(time.monotonic() - self._loading.submitted + disk.STUCK_SECONDS):
            if self._is_terminated() or time.monotonic() > end:
                error = DiskHangs(self._loading.path, time.monotonic() - self._loading.submitted)
                self._fail_reload([f"{error.filename}: {error}"])
                break
        else:
            self._apply_settings()
        self._notifier.send("READY=1")

    def _fail_reload(self, problems: Sequence[str]) -> None:
        self._self_metrics.on_reload(success=False)
        for problem in problems:
            log.error('config reload failed, keeping the previous configuration error="%s"', problem)

    def _apply_settings(self) -> None:
        """Apply the settings that were read, and replace the collectors whose settings changed."""
        try:
            config = self._loading.wait(0)
            jobs = self._build(config, self._jobs)
        except BadInput as error:
            self._fail_reload(error.problems)
            return
        except Exception:
            self._self_metrics.on_reload(success=False)
            log.exception("config reload failed, keeping the previous configuration")
            return
        changed = [name for name in COLLECTORS if jobs.get(name) is not self._jobs.get(name)]
        self._runner.replace(jobs)
        self._jobs = jobs
        self._self_metrics.on_reload(success=True)
        log.info("config reloaded changed=%s", ",".join(changed) or "none")
        if config.web != self._web:
            log.warning("config section [web] changed, which takes effect at a restart only")

    def _stop(self) -> None:
        """Stop within STOP_SECONDS. Nothing here may need a new thread, more descriptors than the reserve, or a disk that answers."""
        self._notifier.send("STOPPING=1")
        log.info("stopping")
        self._exporter.close()  # first: it may hold every descriptor there is
        self._reserve.release()
        self._runner.stop()
        self._board.save()
        if not self._store.close(STOP_SAVE_SECONDS):
            log.error("state not saved, the disk hangs or refuses it directory=%s", self._store.path)
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


class ReadConfig(Protocol):
    """Reads the settings with the flags applied; `default`: the flags alone, without any file. Raises `BadInput`."""

    def __call__(self, *, default: bool) -> Config: ...  # noqa: D102


def main(read_config: ReadConfig, roots: CollectorContext, state: Path, handler: logs.LineHandler) -> int:
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

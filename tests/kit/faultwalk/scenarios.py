"""Scenarios: what a program does while one of its system calls fails, and what must hold then."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from collectors.state import VERSION
from tests.kit.faultwalk.errnos import NUMBERS
from tests.kit.faultwalk.supervisor import Call, Failure, Supervisor
from tests.kit.program import BenchError, free_port

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

ROOT = Path(__file__).parents[3]
START, ANSWER, STOP = 60.0, 20.0, 10.0  # seconds until READY=1; until a line is counted, a reload over; from SIGTERM to the end
TRACEBACK = re.compile(r"Traceback \(most recent call last\)|traceback=|Exception ignored|Fatal Python error|Segmentation fault|Timeout \(")
LINE = "Nov 21 10:00:00 ip-10-0-0-56 walkd[694]: the walk went wrong\n"
SERIES = 'vitald_log_events_total{signature="walk-wrong"}'
PACK = """[source]
tags = ["walkd"]
[[signature]]
id = "walk-wrong"
family = "dhcp"
severity = "warning"
meaning = "a step of the walk failed"
remediation = "Look at the walk"
pattern = '^the walk went wrong'
match = ['Nov 21 10:00:00 ip-10-0-0-56 walkd[694]: the walk went wrong']
no_match = ['Nov 21 10:00:00 ip-10-0-0-56 walkd[694]: the walk went on']
"""
SETTINGS = """[web]
socket = "{folder}/vitald.sock"
[host]
interval = "{interval}"
imds_url = "off"
[probe]
interval = "200ms"
timeout = "100ms"
targets = ["127.0.0.1:{target}", "localhost:{target}"]
target_files = ["{folder}/targets.json"]
[path_mtu]
enabled = false
[nic]
interval = "{interval}"
[dhcp]
interval = "{interval}"
[memory]
interval = "{interval}"
[logs]
interval = "100ms"
kmsg = "off"
journal = "off"
files = ["{folder}/syslog"]
signature_dirs = ["{folder}/packs"]
"""


class Zygote:
    """Fork server, one command line at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kit.faultwalk.zygote"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def ask(self, **order: Any) -> int:
        """Return the answer to one order."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            if not (data := self._process.stdout.read(64)):
                raise BenchError("the fork server of the fault walk has ended")
            answer += data
        return int(answer)


class Strace:
    """In place of a `Zygote`: the program itself under `strace --inject`, from its first call on, to confirm what the filter does."""

    def __init__(self, failure: Failure, path: str) -> None:
        """Make the `occurrence`-th call of this name on `path` fail."""
        self._inject = f"inject={failure.call.name}:error={errno.errorcode[failure.error]}:when={failure.occurrence}"
        self._path = path
        self._failure = failure
        self._log = Path(os.devnull)
        self._process: subprocess.Popen[bytes] | None = None
        self.injected: list[Failure] = []

    def ask(self, **order: Any) -> int:
        """Start the program, or wait for it."""
        if "wait" in order:
            assert self._process
            status = self._process.wait()
            self.injected = [self._failure] if "(INJECTED)" in self._log.read_text() else []
            return -status if status < 0 else status << 8
        self._log = Path(order["cwd"]) / "strace"
        command = ["strace", "-D", "-f", "-qq", "--seccomp-bpf", "-o", str(self._log), "-P", self._path, "-e", self._inject]
        with open(order["stdout"], "wb") as stdout, open(order["stderr"], "wb") as stderr:  # noqa: PTH123
            environment = {**os.environ, **order["environment"], "PYTHONPATH": str(ROOT)}
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": stdout, "stderr": stderr}
            self._process = subprocess.Popen(
                [*command, sys.executable, "-m", "daemon", *order["argv"]],
                **streams,
                cwd=order["cwd"],
                env=environment,
                start_new_session=True,
            )
        return self._process.pid


class Run:
    """One run of a program: its process, and what was found wrong with it."""

    def __init__(
        self, zygote: Zygote | Strace, folder: Path, argv: list[str], calls: Iterable[str], failures: tuple[Failure, ...] = ()
    ) -> None:
        self._zygote = zygote
        self.folder = folder
        self.problems: list[str] = []
        self.injected: list[Failure] = []
        self.counts: Counter[Call] | None = None
        for name in ("stdout", "stderr"):
            (folder / name).unlink(missing_ok=True)
        numbers = [NUMBERS[name] for name in calls]
        environment = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "2000000"}
        streams = {name: str(folder / name) for name in ("stdout", "stderr")}
        self.pid = zygote.ask(argv=argv, cwd=str(folder), environment=environment, numbers=numbers, **streams)
        self._pidfd = os.pidfd_open(self.pid)
        self._supervisor = Supervisor(self.pid, str(folder), failures) if numbers else None

    @property
    def output(self) -> str:
        """What it wrote to both streams."""
        return "".join((self.folder / name).read_text(errors="replace") for name in ("stdout", "stderr") if (self.folder / name).exists())

    def ended(self, seconds: float = 0.0) -> bool:
        """Wait until the process has ended."""
        return bool(select.select([self._pidfd], [], [], seconds)[0])

    def signal(self, number: int) -> None:
        """Send a signal, if it has not ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def finish(self, seconds: float) -> int:
        """Wait for the end, at most so long; return the exit status, negative for a signal."""
        if not self.ended(seconds):
            self.problems.append(f"hangs: not ended after {seconds:g} s")
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # a session of its own: children that are left, too
        if self._supervisor:
            self._supervisor.stop()
            self.injected, self.counts = self._supervisor.injected, self._supervisor.counts
            if self._supervisor.error:
                raise BenchError(f"the supervisor failed: {self._supervisor.error}")
        status = self._zygote.ask(wait=self.pid)
        if isinstance(self._zygote, Strace):
            self.injected = self._zygote.injected
        os.close(self._pidfd)
        if found := TRACEBACK.search(self.output):
            self.problems.append(f"traceback ({found[0]})")
        return os.waitstatus_to_exitcode(status)


class Daemon:
    """`vitald run`: start, lines, scrapes, reload, lines, stop. The state of one run is that of the next."""

    def __init__(self, folder: Path) -> None:
        self.name = "run"
        self.folder = folder
        self.written = 0
        self._generation = 0
        self._port = free_port()
        self._target = socket.create_server(("127.0.0.1", 0), backlog=1024)
        (folder / "packs").mkdir(parents=True)
        (folder / "packs/walk.toml").write_text(PACK)
        (folder / "syslog").touch()
        self._configure()
        threading.Thread(target=self._accept, daemon=True).start()
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._manager.bind(str(folder / "notify"))

    def close(self) -> None:
        """Release the sockets."""
        self._manager.close()
        self._target.shutdown(socket.SHUT_RDWR)
        self._target.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                self._target.accept()[0].close()

    def _configure(self) -> None:
        """Write settings, web config and targets that differ from the last ones."""
        self._generation += 1
        port = self._target.getsockname()[1]
        interval = f"{250 + self._generation % 2}ms"
        self.folder.joinpath("vitald.toml").write_text(SETTINGS.format(folder=self.folder, target=port, interval=interval))
        (self.folder / "targets.json").write_text(json.dumps([{"targets": [f"127.0.0.1:{port}"], "labels": {"n": str(self._generation)}}]))
        self._put("web.yml", f'http_server_config:\n  headers:\n    Content-Security-Policy: "n{self._generation}"\n')

    def _put(self, name: str, text: str) -> None:
        (self.folder / f"{name}.new").write_text(text)
        (self.folder / f"{name}.new").rename(self.folder / name)

    def _argv(self) -> list[str]:
        folder = self.folder
        listen = ["--web.listen-address", f"127.0.0.1:{self._port}", "--web.config.file", f"{folder}/web.yml"]
        return ["run", "--config.file", f"{folder}/vitald.toml", "--state.directory", f"{folder}/state", *listen]

    def run(self, zygote: Zygote | Strace, calls: Iterable[str] = (), failures: tuple[Failure, ...] = ()) -> Run:
        """Run once; the problems are in the result."""
        for path in self.folder.glob("state/*.unusable"):
            path.unlink()
        with contextlib.suppress(BlockingIOError):
            while self._manager.recv(4096):
                pass
        run = Run(zygote, self.folder, self._argv(), calls, failures)
        if self._heard(run, START):
            self._serve(run)
            self._stop(run)
        elif run.ended():
            self._refused(run)
        else:
            run.problems.append(f"hangs: no READY=1 after {START:g} s")
            self._stop(run)
        self._check_state(run)
        return run

    def _refused(self, run: Run) -> None:
        status = run.finish(0.0)
        if status not in {1, 2} or not run.output.strip():
            run.problems.append(f"start ended with {status} and {len(run.output)} bytes of output")
        if not failures_expected(run):
            run.problems.append("start refused without a failure")

    def _serve(self, run: Run) -> None:
        self._count(run, 3)
        for ask in (self._page, self._status):
            self._retry(run, ask)
        self._configure()
        run.signal(signal.SIGHUP)
        if not self._heard(run, ANSWER):
            run.problems.append("hangs: no READY=1 after a reload")
        self._count(run, 2)

    def _retry(self, run: Run, ask: Any) -> None:
        for _ in range(4):
            with contextlib.suppress(OSError, ValueError):
                if ask():
                    return
            time.sleep(0.05)
        run.problems.append(f"no answer for {ask.__name__}")

    def _stop(self, run: Run) -> None:
        run.signal(signal.SIGTERM)
        if (status := run.finish(STOP)) != 0:
            run.problems.append(f"ended with {status} after SIGTERM")

    def _heard(self, run: Run, seconds: float) -> bool:
        """Wait for READY=1."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(BlockingIOError):
                while True:
                    if self._manager.recv(4096).startswith(b"READY=1"):
                        return True
            if run.ended():
                return False
            select.select([self._manager], [], [], 0.05)
        return False

    def _count(self, run: Run, lines: int) -> None:
        """Write lines and wait until exactly those are counted; fewer are right if a loss is told."""
        with (self.folder / "syslog").open("a") as file:
            file.write(LINE * lines)
        self.written += lines
        end, counted, lost = time.monotonic() + ANSWER, -1.0, 0.0
        while time.monotonic() < end and not run.ended():
            with contextlib.suppress(OSError, ValueError):
                text = self._get(self._tcp(), "/metrics")
                counted = _value(text, SERIES)
                lost = sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("vitald_log_lost_total{"))
                if counted >= self.written:
                    break
            time.sleep(0.02)
        if counted != self.written:
            run.problems.append(f"counted {counted:g} of {self.written} lines, {lost:g} losses told")
            self.written = int(counted) if counted > 0 else self.written  # so that the next run is judged by itself

    def _tcp(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), 5)

    def _page(self) -> bool:
        return "<html" in self._get(self._tcp(), "/")

    def _status(self) -> bool:
        local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        local.settimeout(5)
        local.connect(str(self.folder / "vitald.sock"))
        return "collectors" in json.loads(self._get(local, "/-/status"))

    @staticmethod
    def _get(connection: socket.socket, path: str) -> str:
        with connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while more := connection.recv(1 << 16):
                data += more
        head, _, body = data.partition(b"\r\n\r\n")
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise ValueError(head[:80])
        return body.decode()

    def _check_state(self, run: Run) -> None:
        for path in self.folder.glob("state/*"):
            if path.suffix == ".unusable":
                run.problems.append(f"state lost: {path.name}")
            elif path.suffix == ".json":
                try:
                    version = json.loads(path.read_bytes())["version"]
                except (ValueError, KeyError, TypeError):
                    version = None
                if version != VERSION:
                    run.problems.append(f"state of version {version}: {path.name}")


class Command:
    """A command that looks once and ends."""

    limit: ClassVar[float] = 30.0

    def __init__(self, folder: Path, name: str, argv: list[str], statuses: frozenset[int], *, as_json: bool) -> None:
        self.name = name
        self.folder = folder
        self._argv = argv
        self._statuses = statuses
        self._as_json = as_json
        folder.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, zygote: Zygote | Strace, calls: Iterable[str] = (), failures: tuple[Failure, ...] = ()) -> Run:
        """Run once; the problems are in the result."""
        run = Run(zygote, self.folder, self._argv, calls, failures)
        status = run.finish(self.limit)
        if status not in self._statuses:
            run.problems.append(f"ended with {status}")
        if not run.output.strip():
            run.problems.append("neither result nor error")
        text = (self.folder / "stdout").read_text(errors="replace")
        if self._as_json and not _is_json(text) and not (self.folder / "stderr").read_text().strip():
            run.problems.append("neither JSON nor an error")
        return run


def failures_expected(run: Run) -> bool:
    """Return whether a call was made to fail."""
    return bool(run.injected)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _value(text: str, series: str) -> float:
    return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(series + " ")), -1.0)

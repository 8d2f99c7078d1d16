"""`vitald status`: print what the running daemon knows, from its local socket."""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from collectors.model import Level, Verdict
from collectors.text import printable
from daemon.config import DEFAULT_SOCKET

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

TIMEOUT_SECONDS = 10.0
MAX_BYTES = 64 << 20
_NOT_RUNNING = "the daemon is not running: systemctl status vitald; without systemd, vitald run needs --web.socket PATH"
_REASONS = {
    FileNotFoundError: f"no such socket; {_NOT_RUNNING}",
    ConnectionRefusedError: f"no process listens on it; {_NOT_RUNNING}",
    PermissionError: "permission denied; expected root or a member of the group vitald: sudo vitald status",
    TimeoutError: f"no answer within {TIMEOUT_SECONDS:.0f} s; the daemon may be stopped or stuck: systemctl status vitald",
}


class _Reload(msgspec.Struct):
    successful: bool
    loaded: str


class _Collector(msgspec.Struct):
    name: str
    state: str
    detail: str
    last_read: str | None


class _Document(msgspec.Struct):
    """What is printed of daemon/status/document.py; further keys are those of a newer daemon."""

    exit: Annotated[int, msgspec.Meta(ge=0, le=3)]
    version: str
    started: str
    uptime_seconds: Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]
    last_reload: _Reload
    findings: tuple[dict[str, Any], ...]
    collectors: tuple[_Collector, ...]
    host: dict[str, Any] = {}
    warnings: tuple[str, ...] = ()


class StatusUnavailable(Exception):  # noqa: N818 — as `Unavailable`: a state of the host
    """The daemon's view cannot be had; the message is one line with the remedy."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.epilog = (
        "exit status: 2 if anything is critical, else 1 if there is a warning, else 3 if something is unknown or no daemon answers, else 0"
    )
    parser.add_argument("--format", choices=["table", "json"], default="table", help="(default: %(default)s)")
    text = "local socket of the daemon (default: %(default)s)"
    parser.add_argument("--web.socket", dest="socket", type=Path, default=DEFAULT_SOCKET, metavar="PATH", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Print the daemon's view; return the exit status."""
    try:
        document = fetch(arguments.socket)
        code = msgspec.convert(document, _Document).exit
        findings = verdicts(document)
    except StatusUnavailable as error:
        sys.stderr.write(f"vitald: {error}\n")
        return int(Level.UNKNOWN)
    except (LookupError, TypeError, ValueError):
        sys.stderr.write(f"vitald: {arguments.socket}: the answer is that of another version of vitald; expected that of this one\n")
        return int(Level.UNKNOWN)
    if arguments.format == "json":
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=True) + "\n")
    else:
        from daemon.cli.status_table import print_status  # noqa: PLC0415 — rich, which takes longer to import than JSON to print

        print_status(document, findings)
    return code


def fetch(path: Path, timeout: float = TIMEOUT_SECONDS) -> dict[str, Any]:
    """Return the document at `/-/status` of the daemon on this socket. Raises `StatusUnavailable`."""
    connection = _LocalConnection(path, timeout)
    try:
        connection.request("GET", "/-/status")
        response = connection.getresponse()
        body = response.read(MAX_BYTES)
        document = json.loads(body) if response.status == http.client.OK else None
    except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
        reason = next((text for kind, text in _REASONS.items() if isinstance(error, kind)), "")
        reason = reason or f"{printable(getattr(error, 'strerror', None) or str(error))}; expected the socket of vitald run"
        raise StatusUnavailable(f"{path}: {reason}") from None
    finally:
        connection.close()
    if not isinstance(document, dict):
        raise StatusUnavailable(f"{path}: HTTP status {response.status}; expected the socket of a vitald of this version")
    return document


class _LocalConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket's file."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.settimeout(self.timeout)
        end = time.monotonic() + (self.timeout or TIMEOUT_SECONDS)
        while True:
            try:
                self.sock.connect(os.fsencode(self._path))
            except BlockingIOError:  # the backlog is full: a Unix socket with a timeout does not wait (unix(7), EAGAIN)
                if time.monotonic() > end:
                    raise TimeoutError from None
                time.sleep(0.05)
            else:
                return


def verdicts(document: Mapping[str, Any]) -> list[Verdict]:
    """Return the findings of a document. Raises `LookupError`, `TypeError` or `ValueError` for one of another version."""
    return [_verdict(finding) for finding in document["findings"]]


def _verdict(finding: dict[str, Any]) -> Verdict:
    """Return one finding as the verdict that it was made from; its evidence begins with the time since when it is so."""
    level = Level[str(finding["level"]).upper()]
    evidence = {"since": str(finding["since"]), **finding["evidence"]}
    return Verdict(str(finding["check"]), str(finding["subject"]), level, str(finding["message"]), evidence, str(finding["remediation"]))

"""`vitald run`: the daemon."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.model import CollectorContext
from daemon import application
from daemon import logging as logs
from daemon.cli import host_flags
from daemon.config import DEFAULT_SOCKET, DEFAULT_STATE

if TYPE_CHECKING:
    import argparse

    from daemon.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    host_flags.add_arguments(parser)
    text = "repeatable (default: 127.0.0.1:19100)"
    parser.add_argument("--web.listen-address", dest="listen", action="append", metavar="ADDRESS", help=text)
    parser.add_argument("--web.config.file", dest="web_config", metavar="FILE", help="TLS and basic auth, in the exporter-toolkit's format")
    parser.add_argument("--web.telemetry-path", dest="telemetry_path", metavar="PATH", help="path of the metrics (default: /metrics)")
    text = f"Unix socket that `vitald status` reads: auto, off, or a path (default: auto, {DEFAULT_SOCKET} under systemd)"
    parser.add_argument("--web.socket", dest="socket", metavar="PATH", help=text)
    levels, text = ["debug", "info", "warning", "error"], "(default: %(default)s)"
    parser.add_argument("--log.level", dest="log_level", default="info", choices=levels, help=text)
    parser.add_argument("--log.format", dest="log_format", default="logfmt", choices=["logfmt", "json"], help=text)
    state, text = (
        Path(os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or DEFAULT_STATE),
        "state directory (default: %(default)s)",
    )
    parser.add_argument("--state.directory", dest="state", type=Path, default=state, metavar="DIR", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Run the daemon until SIGTERM or SIGINT."""
    handler = logs.set_up(arguments.log_level, arguments.log_format)
    roots = CollectorContext(arguments.procfs, arguments.sysfs, arguments.rootfs)

    def read_config(*, default: bool) -> Config:
        return _config(arguments, default=default)

    return application.main(read_config, roots, arguments.state, handler)


def _config(arguments: argparse.Namespace, *, default: bool) -> Config:
    web = {
        "listen_addresses": tuple(arguments.listen or ()),
        "telemetry_path": arguments.telemetry_path,
        "config_file": arguments.web_config,
        "socket": arguments.socket,
    }
    return host_flags.load_config(arguments, {key: value for key, value in web.items() if value}, default=default)

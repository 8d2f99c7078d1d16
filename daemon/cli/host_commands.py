"""`vitald run`, `check` and `check-config`: the commands that take settings and a host. Each imports what it uses when it is called."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.model import BadInput, CollectorContext, Mode
from daemon import config as settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.config import Config


def describe_run(command: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Declare what `vitald run` takes."""
    _add_host_flags(command)
    command.add_argument(
        "--web.listen-address", dest="listen", action="append", metavar="ADDRESS", help="where to serve, repeatable (127.0.0.1:19100)"
    )
    command.add_argument("--web.config.file", dest="web_config", metavar="FILE", help="TLS and basic auth, as the exporter-toolkit has it")
    command.add_argument("--web.telemetry-path", dest="telemetry_path", metavar="PATH", help="where the metrics are (/metrics)")
    command.add_argument("--log.level", dest="log_level", default="info", choices=["debug", "info", "warning", "error"], help="(info)")
    command.add_argument("--log.format", dest="log_format", default="logfmt", choices=["logfmt", "json"], help="(logfmt)")
    command.add_argument("--state.directory", dest="state", type=Path, default=_default_state(), metavar="DIR", help="(%(default)s)")
    return _run


def describe_check(command: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Declare what `vitald check` takes."""
    command.epilog = "exit status: 0 healthy, 1 warning, 2 critical, 3 could not tell"
    _add_host_flags(command)
    command.add_argument("--format", choices=["table", "json"], default="table", help="(table)")
    return _check


def describe_check_config(command: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Declare what `vitald check-config` takes."""
    command.add_argument("file", nargs="?", type=Path, metavar="FILE", help=f"({settings.DEFAULT_FILE})")
    command.add_argument("--config.file", dest="config", type=Path, metavar="FILE", help="the same")
    return _check_config


def _add_host_flags(command: argparse.ArgumentParser) -> None:
    """Add what `run` and `check` share: which settings, which collectors, which roots."""
    from collectors.registry import COLLECTORS  # noqa: PLC0415

    command.add_argument(
        "--config.file", dest="config", type=Path, metavar="FILE", help=f"settings ({settings.DEFAULT_FILE}, if it is there)"
    )
    for name in COLLECTORS:
        command.add_argument(
            f"--collector.{name}",
            dest=f"collector.{name}",
            action=argparse.BooleanOptionalAction,
            help=f"switch the {name} collector on or off",
        )
    command.add_argument(
        "--collector.disable-defaults", dest="disable_defaults", action="store_true", help="only collectors switched on by flag"
    )
    for flag, default in (("procfs", "/proc"), ("sysfs", "/sys"), ("rootfs", "/")):
        command.add_argument(f"--path.{flag}", dest=flag, type=Path, default=Path(default), metavar="DIR", help="(%(default)s)")


def _default_state() -> Path:
    return Path(os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or "/var/lib/vitald")


def _config(arguments: argparse.Namespace) -> Config:
    from collectors.registry import COLLECTORS  # noqa: PLC0415

    flags = vars(arguments)
    web = {
        "listen_addresses": tuple(flags.get("listen") or ()),
        "telemetry_path": flags.get("telemetry_path"),
        "config_file": flags.get("web_config"),
    }
    switched = {name: flags[f"collector.{name}"] for name in COLLECTORS if flags.get(f"collector.{name}") is not None}
    return settings.with_flags(
        settings.load(arguments.config),
        web={key: value for key, value in web.items() if value},
        enabled=switched,
        disable_defaults=arguments.disable_defaults,
    )


def _run(arguments: argparse.Namespace) -> int:
    from daemon import application  # noqa: PLC0415
    from daemon import logging as logs  # noqa: PLC0415

    handler = logs.set_up(arguments.log_level, arguments.log_format)
    roots = CollectorContext(arguments.procfs, arguments.sysfs, arguments.rootfs)
    return application.main(lambda: _config(arguments), roots, arguments.state, handler)


def _check(arguments: argparse.Namespace) -> int:
    import contextlib  # noqa: PLC0415
    import socket  # noqa: PLC0415

    from daemon.cli import check  # noqa: PLC0415

    config = _config(arguments)
    with contextlib.ExitStack() as stack:
        listening: tuple[str, ...] = ()
        with contextlib.suppress(OSError):  # where the loopback is down there is no canary, and the probes say so
            canary = stack.enter_context(socket.create_server(("127.0.0.1", 0)))  # the probes' own path is tried, daemon or not
            listening = (f"127.0.0.1:{canary.getsockname()[1]}",)
        host = CollectorContext(arguments.procfs, arguments.sysfs, arguments.rootfs, listening, mode=Mode.CHECK)
        looks = check.look(config.collectors, host)
    if arguments.format == "json":
        sys.stdout.write(check.as_json(looks) + "\n")
    else:
        check.print_table(looks)
    return check.exit_code(looks)


def _check_config(arguments: argparse.Namespace) -> int:
    from collectors.registry import COLLECTORS  # noqa: PLC0415
    from daemon.cli import signatures  # noqa: PLC0415
    from exporters.prometheus.web_config.reloader import check_web_config  # noqa: PLC0415

    file = arguments.file or arguments.config
    config = settings.load(file)
    enabled = {name: own for name, own in config.collectors.items() if own.enabled and name != "logs"}
    complaints = [line for name, own in enabled.items() for line in COLLECTORS[name].problems(own)]
    complaints += signatures.problems(config)  # of [logs], which `scan` and `explain` use where the collector is off, too
    if config.web.config_file:
        try:
            check_web_config(Path(config.web.config_file))
        except BadInput as error:
            complaints.append(str(error))
    for line in complaints:
        sys.stderr.write(f"vitald: {line}\n")
    if not complaints:
        found = file or settings.DEFAULT_FILE
        sys.stdout.write(f"{found}: good\n" if found.exists() else f"{found}: not there, so every default holds\n")
    return 2 if complaints else 0

"""The command line: `vitald COMMAND`. Each command's own imports are made when it is called: `run` pays for nothing it does not use."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable

from collectors.model import BadInput
from daemon.cli import host_commands


def parser(chosen: str = "") -> argparse.ArgumentParser:
    """Name every command, and describe the flags of the chosen one: describing each takes its imports, which cost longer than a scan."""
    top = argparse.ArgumentParser(
        prog="vitald", description="Says what is wrong with this host while it can still be reached.", allow_abbrev=False
    )
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(title="commands", metavar="COMMAND")
    for name, (words, describe) in COMMANDS.items():
        command = commands.add_parser(name, help=words, description=words[0].upper() + words[1:] + ".", allow_abbrev=False)
        if name == chosen:
            command.set_defaults(action=describe(command))
    return top


def _describe_module(name: str) -> Callable[[argparse.ArgumentParser], Action]:
    """Let a command that is a module of its own describe itself."""

    def describe(command: argparse.ArgumentParser) -> Action:
        module = importlib.import_module(f"daemon.cli.{name}")
        module.add_arguments(command)
        action: Action = module.run
        return action

    return describe


def _describe_scan(command: argparse.ArgumentParser) -> Action:
    from daemon.cli import log_commands  # noqa: PLC0415

    log_commands.add_scan(command)
    return log_commands.scan


def _describe_explain(command: argparse.ArgumentParser) -> Action:
    from daemon.cli import log_commands  # noqa: PLC0415

    log_commands.add_explain(command)
    return log_commands.explain


Action = Callable[[argparse.Namespace], int]
COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], Action]]] = {
    "run": ("the daemon", host_commands.describe_run),
    "check": ("look at this host once and say what is wrong with it", host_commands.describe_check),
    "check-config": ("read settings, and the files they name, as `run` would", host_commands.describe_check_config),
    "probe": ("TCP ping: the kernel's round trip, lost SYNs, and a reason for each failure", _describe_module("probe.command")),
    "rules": ("print the Prometheus rules that belong to this version", _describe_module("rules")),
    "dashboard": ("print the Grafana dashboard that belongs to this version", _describe_module("dashboard")),
    "scan": ("look through old logs for what happened, when and how often", _describe_scan),
    "explain": ("say which signature a log line is, what it means and what to do", _describe_explain),
}


def main(argv: list[str] | None = None) -> int:
    """Run a command; the result is the exit status."""
    words = sys.argv[1:] if argv is None else argv
    top = parser(next((word for word in words if not word.startswith("-")), ""))  # no flag before the command takes a value
    arguments = top.parse_args(words)
    if arguments.version:
        from daemon.self_metrics import VERSION  # noqa: PLC0415

        sys.stdout.write(f"vitald {VERSION}\n")
        return 0
    if not hasattr(arguments, "action"):
        top.print_help(sys.stderr)
        return 2
    try:
        return int(arguments.action(arguments))
    except BadInput as error:
        sys.stderr.write(f"vitald: {error}\n")
        return 2
    except BrokenPipeError:  # `vitald check | head`
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 — the interpreter flushes it on its way out
        return 0
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

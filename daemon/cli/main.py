"""Command line entry point, `vitald COMMAND`. Imports the chosen command only, since imports cost more than a short scan."""

from __future__ import annotations

import importlib
import sys

from collectors.model import BadInput, Level, is_host_error
from daemon.cli import streams, usage

COMMANDS = {  # name: (module with add_arguments(parser) and run(arguments), help text)
    "run": ("daemon.cli.run", "run the daemon"),
    "check": ("daemon.cli.check.command", "look at the host once, without the daemon, and print findings"),
    "status": ("daemon.cli.status", "print what the running daemon knows: findings, since when, and its collectors"),
    "check-config": ("daemon.cli.check_config", "validate the settings file and the files it refers to"),
    "probe": ("daemon.cli.probe.command", "TCP ping: the kernel's round-trip time, lost SYNs, and a reason for each failure"),
    "rules": ("daemon.cli.rules", "print the Prometheus rules of this version"),
    "runbook": ("daemon.cli.runbook", "print the runbook of an alert"),
    "dashboard": ("daemon.cli.dashboard", "print the Grafana dashboard of this version"),
    "scan": ("daemon.cli.scan.command", "search old logs for known faults: what happened, when and how often"),
    "explain": ("daemon.cli.explain", "print the signatures that match a log line, with meaning and remediation"),
}


NAGIOS = ("check", "status")  # a usage error and invalid settings are unknown (3) there: 2 would be a critical host


def parser(chosen: str = "") -> usage.Parser:
    """Return the parser with every command's name, and the flags of the chosen one."""
    top = usage.Parser(prog="vitald", description="Host health daemon with a Prometheus exporter.", allow_abbrev=False)
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(title="commands", metavar="COMMAND")
    for name, (path, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False)
        command.error_status = _error_status(name)
        if name == chosen:
            module = importlib.import_module(path)
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run a command and return the exit status."""
    streams.set_up()
    argv = sys.argv[1:] if argv is None else argv
    chosen = next((argument for argument in argv if not argument.startswith("-")), "")  # no flag before the command takes a value
    try:
        code = _run(argv, chosen)
    except SystemExit:  # of argparse, after --help or a usage error
        if streams.finish() is None:
            raise
        code = 0
    if (error := streams.finish()) is not None:
        sys.stderr.write(f"vitald: standard output: {error.strerror}; expected a file or a pipe with room\n")
        return code or _error_status(chosen)
    return code


def _run(argv: list[str], chosen: str) -> int:
    top = parser(chosen)
    arguments = top.parse_args(argv)
    if arguments.version:
        from daemon.self_metrics import VERSION  # noqa: PLC0415

        sys.stdout.write(f"vitald {VERSION}\n")
        return 0
    if not hasattr(arguments, "run"):
        top.print_help(sys.stderr)
        return usage.USAGE_ERROR
    try:
        return int(arguments.run(arguments))
    except BadInput as error:
        for problem in error.problems:
            sys.stderr.write(f"vitald: {problem}\n")
        return _error_status(chosen)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if not is_host_error(error):
            raise
        sys.stderr.write(f"vitald: {type(error).__name__}: {error}; expected a host with free descriptors, threads and memory\n")
        return _error_status(chosen)


def _error_status(command: str) -> int:
    return int(Level.UNKNOWN) if command in NAGIOS else usage.USAGE_ERROR

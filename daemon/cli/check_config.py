"""`vitald check-config`: validate settings and the files they refer to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.model import BadInput
from collectors.registry import COLLECTORS
from daemon import config
from exporters.prometheus.web_config.reloader import check_web_config

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.epilog = "exit status: 0 valid, 2 invalid"
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help=f"settings file (default: {config.DEFAULT_FILE})")
    parser.add_argument("--config.file", dest="config", type=Path, metavar="FILE", help="same as FILE")


def run(arguments: argparse.Namespace) -> int:
    """Print each problem as a line on stderr; return 2 if there is one. Raises `BadInput` for the settings file itself."""
    file = arguments.file or arguments.config
    loaded = config.load(file)
    # of logs also where it is disabled: `scan` and `explain` use its packs
    checked = {name: own for name, own in loaded.collectors.items() if own.enabled or name == "logs"}
    problems = [line for name, own in checked.items() for line in COLLECTORS[name].problems(own)]
    if loaded.web.config_file:
        try:
            check_web_config(Path(loaded.web.config_file))
        except BadInput as error:
            problems.append(str(error))
    for line in problems:
        sys.stderr.write(f"vitald: {line}\n")
    if not problems:
        found = file or config.DEFAULT_FILE
        sys.stdout.write(f"{found}: valid\n" if found.exists() else f"{found}: no such file; all defaults apply\n")
    return 2 if problems else 0

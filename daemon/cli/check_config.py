"""`vitald check-config`: validate settings, the files they refer to, and all else that a start would refuse, as the service's user."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.model import BadInput
from collectors.registry import COLLECTORS
from daemon import config
from daemon.application import start_problems

if TYPE_CHECKING:
    import argparse

SERVICE_USER = "vitald"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.epilog = "exit status: 0 valid, 2 invalid. By root, files are read as the user that the service has."
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help=f"settings file (default: {config.DEFAULT_FILE})")
    parser.add_argument("--config.file", dest="config", type=Path, metavar="FILE", help="same as FILE")
    text = f"user that the daemon runs as; only root can check for another one (default: {SERVICE_USER} if this is root and it exists)"
    parser.add_argument("--user", metavar="NAME", help=text)
    parser.add_argument(
        "--state.directory", dest="state", type=Path, metavar="DIR", help=f"state directory (default: {config.DEFAULT_STATE})"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print each problem as a line on stderr; return 2 if there is one."""
    file = arguments.file or arguments.config
    user = _service_user(arguments.user)
    if user is not None:
        _problems(file, arguments.state)  # imports what is needed, also from an environment that the user cannot read
        _become(user)
    problems = _problems(
        file, arguments.state or (config.DEFAULT_STATE if user else None)
    )  # an ordinary user's own check says nothing about the service's
    for line in problems:
        sys.stderr.write(f"vitald: {line}\n")
    if not problems:
        found, reader = file or config.DEFAULT_FILE, f" for the user {user.pw_name}" if user else ""
        sys.stdout.write(f"{found}: valid{reader}\n" if found.exists() else f"{found}: no such file; all defaults apply\n")
    return 2 if problems else 0


def _problems(file: Path | None, state: Path | None) -> list[str]:
    """Return all that is wrong, a line each; of settings that are not valid, what the defaults refer to is checked."""
    found: list[str] = []
    try:
        loaded = config.load(file)
    except BadInput as error:
        loaded = config.parse("", "")
        found += error.problems
    # of logs also where it is disabled: `scan` and `explain` use its packs
    checked = {name: own for name, own in loaded.collectors.items() if own.enabled or name == "logs"}
    found += [line for name, own in checked.items() for line in COLLECTORS[name].problems(own)]
    return list(dict.fromkeys((*found, *start_problems(loaded.web, state))))


def _service_user(name: str | None) -> pwd.struct_passwd | None:
    """Return the user to check for; None for the present one. Raises `BadInput`."""
    if os.geteuid() != 0:
        if name is not None and name != pwd.getpwuid(os.geteuid()).pw_name:
            raise BadInput(f"--user {name!r:.80}: only root can check for another user; expected: sudo vitald check-config")
        return None
    try:
        return pwd.getpwnam(name or SERVICE_USER)
    except KeyError:
        if name is not None:
            raise BadInput(f"--user {name!r:.80}: no such user; expected the user that the service runs as") from None
        return None


def _become(user: pwd.struct_passwd) -> None:
    """Switch to a user and its groups for the rest of the process."""
    os.setgroups(os.getgrouplist(user.pw_name, user.pw_gid))
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)

"""Flags that `vitald run` and `vitald check` share: settings file, collectors, and the roots of the host's file systems."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collectors.registry import COLLECTORS
from daemon import config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    text = f"settings (default: {config.DEFAULT_FILE}, if it exists)"
    parser.add_argument("--config.file", dest="config", type=Path, metavar="FILE", help=text)
    for name in COLLECTORS:
        flag, text = f"collector.{name}", f"enable or disable the {name} collector"
        parser.add_argument(f"--{flag}", dest=flag, action=argparse.BooleanOptionalAction, help=text)
    text = "disable collectors that no flag enables"
    parser.add_argument("--collector.disable-defaults", dest="disable_defaults", action="store_true", help=text)
    for flag, default, mounted in (("procfs", "/proc", "procfs"), ("sysfs", "/sys", "sysfs"), ("rootfs", "/", "the root file system")):
        text = f"mount point of {mounted} (default: %(default)s)"
        parser.add_argument(f"--path.{flag}", dest=flag, type=Path, default=Path(default), metavar="DIR", help=text)


def load_config(arguments: argparse.Namespace, web: Mapping[str, Any], *, default: bool = False) -> Config:
    """Read the settings file and apply the flags to it; `web` holds the keys of `[web]` that flags set. Raises `BadInput`.

    `default`: read no file.
    """
    flags = vars(arguments)
    enabled = {name: flags[f"collector.{name}"] for name in COLLECTORS if flags.get(f"collector.{name}") is not None}
    found = config.parse("", "") if default else config.load(arguments.config)
    return config.with_flags(found, web=web, enabled=enabled, disable_defaults=arguments.disable_defaults)

"""Signature packs for commands: those of `vitald run`, with the compiled database in the user's cache directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from collectors.interfaces import DEFAULT_IGNORE
from collectors.logs.matching import packs
from collectors.logs.matching.database import open_database
from collectors.logs.matching.matcher import Matcher
from collectors.logs.settings import LogSettings
from daemon import config as settings

if TYPE_CHECKING:
    import argparse


class _Interfaces(msgspec.Struct, frozen=True):
    """What `[nic]` and `[dhcp]` have in common, without the imports of their collectors."""

    ignore: tuple[str, ...] = DEFAULT_IGNORE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags that `load()` reads."""
    text = f"settings, for signature_dirs of [logs] (default: {settings.DEFAULT_FILE}, if it exists)"
    parser.add_argument("--config.file", dest="config", type=Path, metavar="FILE", help=text)
    text = "additional directory of signature packs, repeatable"
    parser.add_argument("--signatures", type=Path, action="append", default=[], metavar="DIR", help=text)


def load(arguments: argparse.Namespace) -> tuple[packs.Packs, Matcher]:
    """Load the shipped packs and the user's. Raises `BadInput`, one line with file and id."""
    section = settings.load_section(arguments.config, "logs", LogSettings)
    others = {name: settings.load_section(arguments.config, name, _Interfaces) for name in ("nic", "dhcp")}
    section = section.with_others(others)
    loaded = packs.load([*map(Path, section.signature_dirs), *arguments.signatures])
    return loaded, Matcher(loaded.signatures, open_database(loaded.signatures, _cache()), section.ignored_interfaces)


def _cache() -> Path | None:
    """Return the database's path in the XDG cache directory; None if there is none that is writable."""
    home = os.environ.get("XDG_CACHE_HOME", "") or (str(Path.home() / ".cache") if os.environ.get("HOME") else "")
    if not home.startswith("/"):
        return None
    folder = Path(home, "vitald")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder / "signatures" if os.access(folder, os.W_OK) else None

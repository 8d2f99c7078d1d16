"""The signature packs for the commands: the same that `vitald run` loads, with the database kept in the user's own cache."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collectors.logs.matching import packs, samples
from collectors.logs.matching.database import open_database
from collectors.logs.matching.matcher import Matcher
from collectors.logs.settings import LogSettings
from daemon import config as settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from daemon.config import Config


def load(arguments: argparse.Namespace) -> tuple[packs.Packs, Matcher]:
    """Load the shipped packs and the user's. Raises `BadInput`, with file and id."""
    own = settings.load_section(arguments.config, "logs", LogSettings).signature_dirs
    loaded = packs.load([*map(Path, own), *arguments.signatures])
    return loaded, Matcher(loaded.signatures, open_database(loaded.signatures, _cache()))


def problems(config: Config) -> Iterator[str]:
    """Name what is wrong with the packs, their samples included. `scan` and `explain` use them where the collector is off, too."""
    own: Any = config.collectors["logs"]
    yield from samples.problems([Path(directory) for directory in own.signature_dirs])


def _cache() -> Path | None:
    """Give the database's file, in XDG's cache directory; None where there is no home."""
    home = os.environ.get("XDG_CACHE_HOME", "") or (str(Path.home() / ".cache") if os.environ.get("HOME") else "")
    if not home.startswith("/"):
        return None
    folder = Path(home, "vitald")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder / "signatures" if os.access(folder, os.W_OK) else None

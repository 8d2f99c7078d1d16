"""Parts of pyroute2 without the rest of it.

`import pyroute2.anything` runs the package's `__init__`, which imports all of it: +11 MB resident on top of what the daemon has already.
With a bare package in its place the two message classes we need cost 1 MB (`python bench/nic_memory.py` measures both). If the
whole of pyroute2 was imported before, that one is used.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
import types
from typing import Any

_lock = threading.Lock()


def part(name: str) -> Any:  # noqa: ANN401 — pyroute2 has no types of its own to name here
    """Import one submodule, `netlink.rtnl.ifaddrmsg` for instance, and what it needs; ImportError where there is none."""
    with _lock:
        if "pyroute2" not in sys.modules:
            spec = importlib.util.find_spec("pyroute2")
            if spec is None or spec.submodule_search_locations is None:
                msg = "pyroute2 is not installed"
                raise ImportError(msg)
            bare = types.ModuleType("pyroute2")
            bare.__spec__, bare.__path__ = spec, list(spec.submodule_search_locations)
            sys.modules["pyroute2"] = bare
        return importlib.import_module(f"pyroute2.{name}")

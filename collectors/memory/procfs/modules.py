"""Reads which kernel modules are loaded (/proc/modules, proc(5)); a kernel without modules has no such file, and no modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import text_or_none

if TYPE_CHECKING:
    from pathlib import Path


def loaded(proc: Path) -> frozenset[str]:
    """Give the names of the modules that are loaded now."""
    return parse(text_or_none(f"{proc}/modules") or "")


def parse(text: str) -> frozenset[str]:
    """Give the first word of each line."""
    return frozenset(line.split(" ", 1)[0] for line in text.splitlines() if line.strip())

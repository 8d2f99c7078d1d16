"""Recorded hosts, looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from collectors.model import CollectorContext
from collectors.nic.collector import NicCollector, NicSettings
from collectors.settings import decode_hook
from tests.kit.slots import Kept

if TYPE_CHECKING:
    from collectors.model import Verdict


HOSTS = Path(__file__).parent / "hosts"


def collector(host: Path | str, settings: dict[str, Any] | None = None, slot: Kept | None = None) -> NicCollector:
    root = HOSTS / host
    read = msgspec.convert(settings or {}, NicSettings, dec_hook=decode_hook)
    return NicCollector(read, CollectorContext(proc=root / "proc", sys=root / "sys", root=root, slot=slot or Kept()))


def look(host: Path | str, settings: dict[str, Any] | None = None, slot: Kept | None = None) -> dict[str, Verdict]:
    made = collector(host, settings, slot)
    try:
        return {verdict.check: verdict for verdict in made.judge([made.read()])}
    finally:
        made.close()

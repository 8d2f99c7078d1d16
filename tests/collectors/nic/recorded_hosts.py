"""Recorded hosts, and the collector run over them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from collectors.model import CollectorContext
from collectors.nic.collector import NicCollector
from collectors.nic.settings import NicSettings
from collectors.settings import decode_hook
from tests.kit.slots import Kept

if TYPE_CHECKING:
    from collectors.model import Verdict


HOSTS = Path(__file__).parent / "hosts"


def nic_settings(raw: dict[str, Any] | None = None) -> NicSettings:
    return msgspec.convert(raw or {}, NicSettings, dec_hook=decode_hook)


def new_collector(host: Path | str, settings: dict[str, Any] | None = None, slot: Kept | None = None) -> NicCollector:
    root = HOSTS / host
    return NicCollector(nic_settings(settings), CollectorContext(proc=root / "proc", sys=root / "sys", root=root, slot=slot or Kept()))


def verdicts(host: Path | str, settings: dict[str, Any] | None = None, slot: Kept | None = None) -> dict[str, Verdict]:
    """Run the collector once over a recorded host; its verdicts by check."""
    collector = new_collector(host, settings, slot)
    try:
        return {verdict.check: verdict for verdict in collector.judge([collector.read()], nic_settings(settings))}
    finally:
        collector.close()

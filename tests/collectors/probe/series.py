"""Metrics of the probe collector, by name and labels."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import msgspec

from collectors.probe.settings import ProbeSettings
from collectors.settings import decode_hook

if TYPE_CHECKING:
    from collectors.probe.collector import Probe


def settings(**values: Any) -> ProbeSettings:
    return msgspec.convert(values, ProbeSettings, dec_hook=decode_hook)


def down() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def series(probe: Probe, reading: Any) -> dict[tuple[str, ...], Any]:
    return {(metric.family.name, *metric.labels): metric.value for metric in probe.measure(reading, probe._settings)}

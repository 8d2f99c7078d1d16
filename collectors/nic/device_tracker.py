"""The network devices of the buses from scan to scan: since when one has no driver, and the module that it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.interfaces import matches_any
from collectors.nic.readers.devices import is_loaded, read_devices
from collectors.nic.reading import DeviceState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from collectors.nic.boot.device_modules import DeviceModule
    from collectors.nic.readers.devices import NetworkDevice


class DeviceTracker:
    """`scan` reads the devices, `states` joins them with what the kernel watcher found of their modules. Not thread-safe."""

    def __init__(self, sys: Path, ignore: Sequence[str]) -> None:
        """Track the devices under a sysfs; `ignore` are patterns of addresses and identities."""
        self._sys, self._ignore = sys, ignore
        self._devices: tuple[NetworkDevice, ...] | None = None
        self._since: dict[str, float | None] = {}  # by address, of those without a driver

    def scan(self, wall: float) -> None:
        """Read all network devices."""
        is_first, found = self._devices is None, read_devices(self._sys)
        now = None if is_first else wall
        self._since = {device.address: self._since.get(device.address, now) for device in found if not device.driver}
        self._devices = found

    def modaliases(self) -> tuple[str, ...]:
        """Return the modaliases of the devices without a driver, each once."""
        return tuple(sorted({device.modalias for device in self._devices or () if not device.driver and device.modalias}))

    def states(self, modules: Mapping[str, DeviceModule]) -> tuple[DeviceState, ...]:
        """Return all devices; those without a driver with their modules, as far as these were found."""
        return tuple(self._state(device, modules.get(device.modalias)) for device in self._devices or ())

    def _state(self, device: NetworkDevice, module: DeviceModule | None) -> DeviceState:
        if device.driver:
            return DeviceState(device)
        loaded = module is not None and bool(module.name) and is_loaded(self._sys, module.name)
        ignored = matches_any(device.address, self._ignore) or (bool(device.identity) and matches_any(device.identity, self._ignore))
        return DeviceState(device, module, loaded, self._since.get(device.address), ignored)

"""Inspector of initramfs files: a helper process unpacks that of the kernel that boots next, once for each change of the file."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from collectors.files import stamp_of
from collectors.helper_process import HelperFailed, HelperProcess, module_command
from collectors.nic.boot.kernels import InitramfsModule, initramfs_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from collectors.nic.boot.kernels import InstalledKernels, Kernel

SECONDS = 180.0  # at the lowest priority of a busy host a second of work can take a minute
MAX_ANSWER = 1 << 16  # bytes
COMMAND = module_command("collectors.nic.boot.initramfs_helper")


class _PackedModule(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    version: str = ""
    srcversion: str = ""
    problem: str = ""


class _HelperAnswer(msgspec.Struct, forbid_unknown_fields=True):
    modules: dict[str, _PackedModule | None]
    problem: str


_decoder = msgspec.json.Decoder(_HelperAnswer)


class InitramfsInspector:
    """Inspector with a cache of its last answer. `close()` may be called from another thread, and ends an inspection in progress."""

    def __init__(self) -> None:
        self._cached: tuple[object, Mapping[str, InitramfsModule]] | None = None
        self._helper = HelperProcess(COMMAND)
        self.close = self._helper.stop

    def inspect(self, root: Path, installed: InstalledKernels, drivers: tuple[str, ...]) -> InstalledKernels:
        """Return the kernels with `packed` filled in for the one that boots next."""
        return replace(
            installed,
            kernels=tuple(
                self._inspect(root, kernel, drivers) if kernel.release == installed.next_kernel else kernel for kernel in installed.kernels
            ),
        )

    def _inspect(self, root: Path, kernel: Kernel, drivers: tuple[str, ...]) -> Kernel:
        if (file := initramfs_of(root, kernel.release)) is None:
            return kernel
        packed = self._read(file, kernel.release, drivers)
        return replace(kernel, modules={name: replace(module, packed=packed.get(name)) for name, module in kernel.modules.items()})

    def _read(self, file: Path, release: str, drivers: tuple[str, ...]) -> Mapping[str, InitramfsModule]:
        try:
            status = file.stat()
            os.close(os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
        except OSError as error:
            return dict.fromkeys(drivers, InitramfsModule(None, problem=error.strerror or str(error)))
        key = (str(file), stamp_of(status), release, drivers)
        if self._cached is None or self._cached[0] != key:
            self._cached = key, self._ask(file, release, drivers)
        return self._cached[1]

    def _ask(self, file: Path, release: str, drivers: tuple[str, ...]) -> Mapping[str, InitramfsModule]:
        try:
            answer = _decoder.decode(self._helper.ask(str(file), release, *drivers, seconds=SECONDS, max_answer=MAX_ANSWER))
        except (HelperFailed, ValueError, RecursionError) as error:
            return dict.fromkeys(drivers, InitramfsModule(None, problem=f"not unpacked: the helper {error}"))
        return {driver: _module(answer.modules.get(driver), answer.problem) for driver in drivers}


def _module(found: _PackedModule | None, problem: str) -> InitramfsModule:
    if found is not None:
        return InitramfsModule(present=True, version=found.version, srcversion=found.srcversion, problem=found.problem)
    return InitramfsModule(None, problem=problem) if problem else InitramfsModule(present=False)

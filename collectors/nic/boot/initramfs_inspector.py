"""Asks, for the kernel that boots next, what its initramfs brings: a child unpacks it, once for each change of the file."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from collectors.files import stamp_of
from collectors.nic.boot.kernels import Inside, initramfs_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from collectors.nic.boot.kernels import Disk, Kernel

SECONDS = 180.0  # at the lowest priority of a busy host a second of work can take a minute
LARGEST = 1 << 16  # bytes of an answer
COMMAND = (sys.executable, "-Im", "collectors.nic.boot.initramfs_helper")


class _Found(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    version: str = ""
    srcversion: str = ""
    unread: str = ""


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    modules: dict[str, _Found | None]
    problem: str


_answer = msgspec.json.Decoder(_Answer)


class Contents:
    """Remembers the last answer. `close()` may come from another thread, and ends a look that is out."""

    def __init__(self) -> None:
        self._known: tuple[object, Mapping[str, Inside]] | None = None
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def added(self, root: Path, disk: Disk, drivers: tuple[str, ...]) -> Disk:
        """Say of each driver's module in the next kernel whether the initramfs has it."""
        kernels = tuple(self._looked(root, kernel, drivers) if kernel.release == disk.next_kernel else kernel for kernel in disk.kernels)
        return replace(disk, kernels=kernels)

    def close(self) -> None:
        """End the child, and start no other."""
        self._closed = True
        with self._lock:
            if self._process:
                self._process.kill()

    def _looked(self, root: Path, kernel: Kernel, drivers: tuple[str, ...]) -> Kernel:
        file = initramfs_of(root, kernel.release)
        if file is None:
            return kernel
        inside = self._inside(file, kernel.release, drivers)
        return replace(kernel, modules={name: replace(module, inside=inside.get(name)) for name, module in kernel.modules.items()})

    def _inside(self, file: Path, release: str, drivers: tuple[str, ...]) -> Mapping[str, Inside]:
        try:
            status = file.stat()
            os.close(os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
        except OSError as error:
            return dict.fromkeys(drivers, Inside(None, problem=error.strerror or str(error)))
        key = (str(file), stamp_of(status), release, drivers)
        if self._known is None or self._known[0] != key:
            self._known = key, self._ask(file, release, drivers)
        return self._known[1]

    def _ask(self, file: Path, release: str, drivers: tuple[str, ...]) -> Mapping[str, Inside]:
        try:
            said = self._run([*COMMAND, str(file), release, *drivers])
            answer = _answer.decode(said)
        except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError) as error:
            why = "it took too long" if isinstance(error, subprocess.TimeoutExpired) else f"it could not be unpacked: {error}"
            return dict.fromkeys(drivers, Inside(None, problem=why))
        return {driver: _said(answer.modules.get(driver), answer.problem) for driver in drivers}

    def _run(self, command: list[str]) -> bytes:
        null = subprocess.DEVNULL
        with self._lock:
            if self._closed:
                return b""
            process = self._process = subprocess.Popen(command, stdin=null, stdout=subprocess.PIPE, stderr=null, cwd="/")  # noqa: S603
        try:
            return process.communicate(timeout=SECONDS)[0][:LARGEST]
        finally:
            with self._lock:
                self._process = None
                with contextlib.suppress(OSError):
                    process.kill()
            process.wait()


def _said(found: _Found | None, problem: str) -> Inside:
    if found is not None:
        return Inside(there=True, version=found.version, srcversion=found.srcversion, problem=found.unread)
    return Inside(None, problem=problem) if problem else Inside(there=False)

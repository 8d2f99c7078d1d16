"""The module that a device's modalias asks for, and why it is not in use: depmod's aliases, modprobe.d(5), the kernel's command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from collectors.files import read_regular, read_text
from collectors.nic.boot.boot_loader import menu_position
from collectors.nic.boot.kernels import read_module, releases
from collectors.nic.boot.paths import modules_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from collectors.nic.boot.kernels import KernelModule

_MAX_BYTES = 16 << 20  # of modules.alias; a full kernel's has 2 MB
MODPROBE_DIRECTORIES = ("etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d")
_MAX_CONF = 1 << 20
_RULE = re.compile(r"^[ \t]*(blacklist|install)[ \t]+(\S+)([^\n]*)$", re.MULTILINE)
_NO_LOAD = re.compile(r"\s/(?:usr/)?bin/(?:false|true)\b")  # the two commands that `install` lines forbid a module with
_PARAMETER = re.compile(r"(?:^|\s)(modprobe\.blacklist|module_blacklist)=(\S+)")  # modprobe(8), kernel-parameters.txt


@dataclass(frozen=True, slots=True)
class DeviceModule:
    """Module for one modalias in the running kernel, and the reason why it does not drive the device.

    `name` is empty where no installed kernel claims the device. `state`: `missing` (the running kernel has none), `on disk`, `built in`,
    `broken` (`detail` says how), `blacklisted` (`detail` is the place), or `unreadable` (`detail` is the path).
    `elsewhere` is another installed kernel that has it, `menu_entry` grub's position of that kernel, `boot_tool` the program that sets it.
    """

    name: str = ""
    state: str = "missing"
    detail: str = ""
    elsewhere: str = ""
    menu_entry: str = ""
    boot_tool: str = ""


def find_device_module(root: Path, release: str, modalias: str, cmdline: str, machine: str) -> DeviceModule:
    """Find the module for a modalias: in the running kernel, else in another installed one."""
    try:
        names = list(modules_for(root, release, modalias))
    except OSError as error:
        return DeviceModule(state="unreadable", detail=f"{error.filename}: {error.strerror}")
    if not names:
        return _elsewhere(root, release, modalias)
    return _found(names[0], read_module(root, release, names[0], machine), blacklisted_in(root, names[0], cmdline))


def _found(name: str, module: KernelModule, blacklisted: str) -> DeviceModule:
    """Return the state of a module that the running kernel has."""
    if module.unreadable:
        return DeviceModule(name, "unreadable", module.unreadable)
    if module.origin == "missing" or module.problem:
        return DeviceModule(name, "broken", module.problem or f"modules.alias lists {name}, modules.dep does not")
    if not module.path:
        return DeviceModule(name, "built in")
    return DeviceModule(name, "blacklisted", blacklisted) if blacklisted else DeviceModule(name, "on disk")


def modules_for(root: Path, release: str, modalias: str) -> Iterator[str]:
    """Return the modules of one kernel that claim a modalias, built-in ones last. Raises OSError where a list may not be read."""
    directory = root / modules_directory(root) / release
    bus = modalias.partition(":")[0]
    if not bus:
        return
    for line in _lines(directory / "modules.alias"):
        words = line.split()
        if words[:1] == ["alias"] and len(words) == 3 and words[1].startswith(f"{bus}:") and fnmatchcase(modalias, words[1]):  # noqa: PLR2004
            yield words[2]
    for name, pattern in re.findall(
        rf"(?:^|\0)([\w-]+)\.alias=({bus}:[^\0]*)", read_text(directory / "modules.builtin.modinfo", _MAX_BYTES)
    ):
        if fnmatchcase(modalias, pattern):
            yield name


def blacklisted_in(root: Path, module: str, cmdline: str) -> str:
    """Return where a module is forbidden: a file of modprobe.d, or a parameter of the kernel; empty where it is not."""
    wanted = module.replace("-", "_")
    for parameter, modules in _PARAMETER.findall(cmdline):
        if wanted in modules.replace("-", "_").split(","):
            return f"the kernel parameter {parameter}"
    for path in _configurations(root):
        for kind, name, rest in _RULE.findall(read_text(root / path, _MAX_CONF)):
            if name.replace("-", "_") == wanted and (kind == "blacklist" or _NO_LOAD.search(rest)):
                return f"/{path}"
    return ""


def _elsewhere(root: Path, running: str, modalias: str) -> DeviceModule:
    """Find the newest other kernel that has a module for it."""
    try:
        others = [release for release in reversed(releases(root)) if release != running]
        for release in others:
            for name in modules_for(root, release, modalias):
                tool = next((tool for tool in ("grubby", "grub-reboot", "grub2-reboot") if _is_installed(root, tool)), "")
                return DeviceModule(name, "missing", "", release, menu_position(root, release), tool)
    except OSError as error:
        return DeviceModule(state="unreadable", detail=f"{error.filename}: {error.strerror}")
    return DeviceModule()


def _is_installed(root: Path, program: str) -> bool:
    return any((root / folder / program).exists() for folder in ("usr/sbin", "sbin", "usr/bin"))


def _configurations(root: Path) -> Iterator[str]:
    """Return the files of modprobe.d(5); one of an earlier directory replaces those of the same name in later ones."""
    seen: set[str] = set()
    for directory in MODPROBE_DIRECTORIES:
        try:
            names = sorted(path.name for path in (root / directory).iterdir() if path.suffix == ".conf")
        except OSError:
            continue
        yield from (f"{directory}/{name}" for name in names if name not in seen)
        seen.update(names)


def _lines(path: Path) -> list[str]:
    try:
        return read_regular(path, _MAX_BYTES).decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []

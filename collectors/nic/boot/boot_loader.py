"""The kernel that boots next, by grub's environment and menu or BLS entries, else the newest.

Sources: grub's manual ("Simple configuration", "The GRUB environment block"), the Boot Loader Specification (UAPI.1), Fedora's grub BLS
patch (blscfg sorts entries newest first, `saved_entry` is an entry's file name).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.files import read_text
from collectors.nic.boot.paths import is_denied
from collectors.nic.checks.version import release_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MAX_BYTES = 1 << 20
_ENVIRONMENTS = ("boot/grub/grubenv", "boot/grub2/grubenv", "boot/efi/EFI/amzn/grubenv", "boot/efi/EFI/redhat/grubenv")
_MENUS = ("boot/grub/grub.cfg", "boot/grub2/grub.cfg")
_ENTRIES = "boot/loader/entries"
_ITEM = re.compile(
    r"""^[ \t]*(?:(?P<kind>menuentry|submenu)[ \t]+(?P<quote>['"])(?P<title>.*?)(?P=quote)(?P<rest>[^\n]*)"""
    r"""|linux(?:16|efi)?[ \t]+(?P<image>\S+)|(?P<end>\})[ \t]*$)""",
    re.MULTILINE,
)
_MAX_DEPTH = 16  # of nested blocks that have a position, which has a number for each level; menus have two or three
_ID = re.compile(r"""(?:\$menuentry_id_option|--id)\s+['"]?([^'"\s{]+)""")


@dataclass(frozen=True, slots=True)
class BootEntry:
    """Entry of the boot menu: its position (`1>2` is (1, 2)), its names, its kernel image."""

    position: tuple[int, ...]
    names: tuple[str, ...]
    image: str


def next_kernel(root: Path, installed: Sequence[str]) -> tuple[str, str]:
    """Return the release that boots next and the source of that; ("", reason) where no kernel is installed."""
    if not (newest := max(installed, key=release_key, default="")):
        return "", "no kernel is installed"
    environment = _environment(root)
    menu = _menu(root)
    default = _default(root)
    is_saved = default in {"saved", "${saved_entry}", "${next_entry}", ""}
    for key in ("next_entry", "saved_entry"):
        wanted = environment.get(key, "")
        if wanted and (key == "next_entry" or is_saved) and (found := _resolve(wanted, menu, installed, newest)):
            return found, f"grub's {key}"
    if default and default != "saved" and "$" not in default and (found := _resolve(default, menu, installed, newest)):
        return found, "GRUB_DEFAULT"
    denied = next((path for path in (*_ENVIRONMENTS, *_MENUS, _ENTRIES) if is_denied(root / path)), "")
    return newest, f"the newest installed, since /{denied} may not be read" if denied else "the newest installed"


def menu_position(root: Path, release: str) -> str:
    """Return grub's position of the first entry that boots a kernel (`1>2`), as grub-reboot(8) takes it; empty where none is found."""
    for entry in _menu(root):
        if re.search(rf"(?:vmlinuz|vmlinux|Image)-{re.escape(release)}$", entry.image):
            return ">".join(map(str, entry.position))
    return ""


def _resolve(wanted: str, menu: Sequence[BootEntry], installed: Sequence[str], newest: str) -> str:
    """Return the kernel of a menu entry: by position, title, id or a path of them (`1>2`); empty where there is no such entry."""
    if re.fullmatch(r"\d{1,4}(?:>\d{1,4})*", wanted):
        position = tuple(int(part) for part in wanted.split(">"))
        image = next((entry.image for entry in menu if entry.position[: len(position)] == position), None)
        return newest if image is None and position == (0,) else _release(image or "", installed)
    last = wanted.rpartition(">")[2]
    image = next((entry.image for entry in menu if last in entry.names), None)
    return _release(image or last, installed)


def _release(text: str, installed: Sequence[str]) -> str:
    """Return the installed release in a file name or title; the longest where one is part of another."""
    matching = [
        release for release in installed if re.search(rf"(?<![\w.]){re.escape(release)}(?![\w+~]|[.-]\w)", text) or text.endswith(release)
    ]
    return max(matching or [release for release in installed if release in text], key=len, default="")


def _environment(root: Path) -> dict[str, str]:
    """Parse grub's environment block: `name=value` lines, padded with #."""
    for path in _ENVIRONMENTS:
        if text := read_text(root / path, _MAX_BYTES):
            pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
            return {name.strip(): value.strip() for name, _, value in pairs}
    return {}


def _default(root: Path) -> str:
    """Read GRUB_DEFAULT; BLS systems of Red Hat's family and Amazon Linux 2023 have `saved`."""
    found = ""
    for path in ("etc/default/grub", *_dropins(root)):
        for match in re.finditer(r"^[ \t]*GRUB_DEFAULT=(.*)$", read_text(root / path, _MAX_BYTES), re.MULTILINE):
            found = match[1].strip().strip("\"'")
    return found


def _dropins(root: Path) -> list[str]:
    try:
        return [f"etc/default/grub.d/{name}" for name in sorted(os.listdir(root / "etc/default/grub.d")) if name.endswith(".cfg")]  # noqa: PTH208
    except OSError:
        return []


def _menu(root: Path) -> list[BootEntry]:
    """Read grub.cfg's entries; where it includes BLS files, those, newest first."""
    text = next((text for path in _MENUS if (text := read_text(root / path, _MAX_BYTES))), "")
    return _grub_cfg(text) or _bls(root)


def _grub_cfg(text: str) -> list[BootEntry]:
    entries: list[BootEntry] = []
    stack: list[tuple[bool, tuple[int, ...], tuple[str, ...]]] = []  # open blocks: is it an entry, its position, its names
    counters = [0]
    for match in _ITEM.finditer(text):
        if match["kind"]:
            above = stack[-1][1] if stack else ()
            names = (match["title"], *_ID.findall(match["rest"]))
            stack.append((match["kind"] == "menuentry", (*above, counters[-1]) if len(above) < _MAX_DEPTH else above, names))
            counters[-1] += 1
            counters.append(0)
        elif match["image"] and stack and stack[-1][0]:
            entries.append(BootEntry(stack[-1][1], stack[-1][2], match["image"]))
        elif match["end"] and stack:
            stack.pop()
            counters.pop()
    return entries


def _bls(root: Path) -> list[BootEntry]:
    """Read loader entries (title, version, linux), sorted as blscfg does: newest first."""
    directory = root / _ENTRIES
    try:
        files = sorted(name for name in os.listdir(directory) if name.endswith(".conf"))[:1000]  # noqa: PTH208
    except OSError:
        return []
    read = []
    for name in files:
        lines = re.finditer(r"^(\w[\w-]*)[ \t](.*)$", read_text(directory / name, _MAX_BYTES), re.MULTILINE)
        keys = {line[1]: line[2].strip() for line in lines}
        read.append((keys.get("version", name), (name.removesuffix(".conf"), keys.get("title", "")), keys.get("linux", "")))
    read.sort(key=lambda entry: release_key(entry[0]), reverse=True)
    return [BootEntry((index,), names, image) for index, (_, names, image) in enumerate(read)]

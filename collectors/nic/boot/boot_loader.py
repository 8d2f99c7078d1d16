"""Which kernel boots next: grub's environment and menu, BLS entries, else the newest.

Sources: grub's manual ("Simple configuration", "The GRUB environment block"), the Boot Loader Specification (UAPI.1), Fedora's grub BLS
patch (blscfg sorts entries newest first, `saved_entry` is an entry's file name).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.files import read_text
from collectors.nic.boot.paths import denied
from collectors.nic.checks.version import release_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MOST_BYTES = 1 << 20
_ENVIRONMENTS = ("boot/grub/grubenv", "boot/grub2/grubenv", "boot/efi/EFI/amzn/grubenv", "boot/efi/EFI/redhat/grubenv")
_MENUS = ("boot/grub/grub.cfg", "boot/grub2/grub.cfg")
_ENTRIES = "boot/loader/entries"
_ITEM = re.compile(
    r"""^\s*(?:(?P<kind>menuentry|submenu)\s+(?P<quote>['"])(?P<title>.*?)(?P=quote)(?P<rest>[^\n]*)|linux(?:16|efi)?\s+(?P<image>\S+)|(?P<end>\})\s*$)""",
    re.MULTILINE,
)
_ID = re.compile(r"""(?:\$menuentry_id_option|--id)\s+['"]?([^'"\s{]+)""")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the boot menu: its numbers from the top (`1>2` is (1, 2)), its names, its kernel image."""

    place: tuple[int, ...]
    names: tuple[str, ...]
    image: str


def next_kernel(root: Path, installed: Sequence[str]) -> tuple[str, str]:
    """Give the release that boots next and where that stands; ("", reason) where no kernel is installed."""
    newest = max(installed, key=release_key, default="")
    if not newest:
        return "", "no kernel is installed"
    environment = _environment(root)
    menu = _menu(root)
    for key in ("next_entry", "saved_entry"):
        asked = environment.get(key, "")
        if asked and (key == "next_entry" or _default(root) in {"saved", "${saved_entry}", "${next_entry}", ""}):
            found = _resolve(asked, menu, installed, newest)
            if found:
                return found, f"grub's {key}"
    asked = _default(root)
    if asked and asked != "saved" and "$" not in asked:
        found = _resolve(asked, menu, installed, newest)
        if found:
            return found, "GRUB_DEFAULT"
    refused = next((path for path in (*_ENVIRONMENTS, *_MENUS, _ENTRIES) if denied(root / path)), "")
    return newest, f"the newest installed, since /{refused} may not be read" if refused else "the newest installed"


def _resolve(asked: str, menu: Sequence[Entry], installed: Sequence[str], newest: str) -> str:
    """Find the kernel that a number, a title, an id or a path of them (`1>2`) speaks of; "" where it speaks of none."""
    if re.fullmatch(r"\d{1,4}(?:>\d{1,4})*", asked):
        place = tuple(int(part) for part in asked.split(">"))
        image = next((entry.image for entry in menu if entry.place[: len(place)] == place), None)
        return newest if image is None and place == (0,) else _release(image or "", installed)
    last = asked.rpartition(">")[2]
    image = next((entry.image for entry in menu if last in entry.names), None)
    return _release(image or last, installed)


def _release(text: str, installed: Sequence[str]) -> str:
    """Find the installed release that a file name or title ends in or names; the longest where one is part of another."""
    matching = [
        release for release in installed if re.search(rf"(?<![\w.]){re.escape(release)}(?![\w+~]|[.-]\w)", text) or text.endswith(release)
    ]
    loose = [release for release in installed if release in text]
    return max(matching or loose, key=len, default="")


def _environment(root: Path) -> dict[str, str]:
    """Read grub's environment block: `name=value` lines, padded with #."""
    for path in _ENVIRONMENTS:
        text = read_text(root / path, _MOST_BYTES)
        if text:
            pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
            return {name.strip(): value.strip() for name, _, value in pairs}
    return {}


def _default(root: Path) -> str:
    """Read GRUB_DEFAULT; BLS systems of Red Hat's family and Amazon Linux 2023 say `saved`."""
    found = ""
    for path in ("etc/default/grub", *_dropins(root)):
        for match in re.finditer(r"^\s*GRUB_DEFAULT=(.*)$", read_text(root / path, _MOST_BYTES), re.MULTILINE):
            found = match[1].strip().strip("\"'")
    return found


def _dropins(root: Path) -> list[str]:
    try:
        return [f"etc/default/grub.d/{name}" for name in sorted(os.listdir(root / "etc/default/grub.d")) if name.endswith(".cfg")]  # noqa: PTH208
    except OSError:
        return []


def _menu(root: Path) -> list[Entry]:
    """Read grub.cfg's entries; where it takes them from BLS files, those, newest first."""
    text = next((text for path in _MENUS if (text := read_text(root / path, _MOST_BYTES))), "")
    entries = _grub_cfg(text)
    return entries or _bls(root)


def _grub_cfg(text: str) -> list[Entry]:
    entries: list[Entry] = []
    stack: list[tuple[bool, tuple[int, ...], tuple[str, ...]]] = []  # open blocks: is it an entry, its place, its names
    counters = [0]
    for match in _ITEM.finditer(text):
        if match["kind"]:
            place = (*(stack[-1][1] if stack else ()), counters[-1])
            names = (match["title"], *_ID.findall(match["rest"]))
            counters[-1] += 1
            counters.append(0)
            stack.append((match["kind"] == "menuentry", place, names))
        elif match["image"] and stack and stack[-1][0]:
            entries.append(Entry(stack[-1][1], stack[-1][2], match["image"]))
        elif match["end"] and stack:
            stack.pop()
            counters.pop()
    return entries


def _bls(root: Path) -> list[Entry]:
    """Read loader entries (title, version, linux), sorted as blscfg does: newest first."""
    folder = root / _ENTRIES
    try:
        files = sorted(name for name in os.listdir(folder) if name.endswith(".conf"))[:1000]  # noqa: PTH208
    except OSError:
        return []
    read = []
    for name in files:
        lines = re.finditer(r"^(\w[\w-]*)[ \t]+(.*?)\s*$", read_text(folder / name, _MOST_BYTES), re.MULTILINE)
        keys = {line[1]: line[2] for line in lines}
        read.append((keys.get("version", name), (name.removesuffix(".conf"), keys.get("title", "")), keys.get("linux", "")))
    read.sort(key=lambda entry: release_key(entry[0]), reverse=True)
    return [Entry((at,), names, image) for at, (_, names, image) in enumerate(read)]

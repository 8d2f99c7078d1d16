"""What a driver's version string is worth. Pure.

The ethtool core pre-fills `version` with the running kernel's release (net/ethtool/ioctl.c), so `6.8.0-1044-aws` compared with `2.2.10`
would always pass. The shape says whether there is a driver's own number at all.
"""

from __future__ import annotations

import enum
import re

_OWN = re.compile(r"(\d{1,6}(?:\.\d{1,6}){1,3})(?:([gG])|-?([kK]))?(?:[-+~_][0-9A-Za-z.+~_-]*)?", re.ASCII)
_RELEASE = re.compile(r"\d+\.\d+(?:\.\d+)?[-+.~_].*", re.ASCII)
_LEADING = re.compile(r"\d{1,9}(?:\.\d{1,9}){0,3}", re.ASCII)


class Shape(enum.Enum):
    """Where a version string comes from."""

    NONE = "none"  # empty, or nothing we know
    KERNEL = "kernel"  # the kernel's release: an in-tree driver without a number of its own
    UPSTREAM = "upstream"  # 2.1.0K, 2.12.1-k: old in-tree drivers, whose number often stood still while fixes came
    GITHUB = "github"  # 2.17.0g: Amazon's code base, from DKMS or built into Amazon Linux's kernel
    OWN = "own"  # 4.0.3: an out-of-tree driver's number


def shape(version: str, release: str) -> Shape:
    """Tell whose number it is; `release` is the running kernel's (`uname -r`)."""
    if not version or version.upper() == "N/A":
        return Shape.NONE
    if version == release:
        return Shape.KERNEL
    match = _OWN.fullmatch(version)
    if match is None:
        return Shape.KERNEL if _RELEASE.fullmatch(version) else Shape.NONE
    if match[2]:
        return Shape.GITHUB
    if match[3]:
        return Shape.UPSTREAM
    return Shape.KERNEL if version != match[1] and _RELEASE.fullmatch(version) else Shape.OWN


def numbers(version: str) -> tuple[int, ...]:
    """Give the numbers at the front, for comparing: `2.17.0g` → (2, 17, 0); () where there are none."""
    match = _LEADING.match(version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def is_number(text: str) -> bool:
    """Say whether text can be a minimum version: numbers and dots, and a driver's own suffix at most."""
    match = _OWN.fullmatch(text)
    return match is not None and text.rstrip("gGkK-") == match[1]


def older(version: str, floor: str) -> bool:
    """Say whether a driver's own version is below a floor; 2.2 and 2.2.0 are the same."""
    have, want = numbers(version), numbers(floor)
    width = max(len(have), len(want))
    return have + (0,) * (width - len(have)) < want + (0,) * (width - len(want))


_PARTS = re.compile(r"\d+|[A-Za-z]+|~", re.ASCII)


def release_key(release: str) -> tuple[tuple[int, int, str], ...]:
    """Order kernel releases as rpm and dpkg do: numbers as numbers, above letters, a tilde below everything."""
    parts = (
        (2, int(part), "") if part.isdigit() else (-1, 0, "") if part == "~" else (1, 0, part) for part in _PARTS.findall(release[:200])
    )
    return (*parts, (0, 0, ""))

"""Version strings of drivers and kernels: their origin and order. Pure.

The ethtool core pre-fills `version` with the running kernel's release (net/ethtool/ioctl.c), so `6.8.0-1044-aws` compared with `2.2.10`
would always pass. The origin tells a driver's own number from that.
"""

from __future__ import annotations

import enum
import re

_OWN = re.compile(r"(\d{1,6}(?:\.\d{1,6}){1,3})(?:([gG])|-?([kK]))?(?:[-+~_][0-9A-Za-z.+~_-]*)?", re.ASCII)
_RELEASE = re.compile(r"\d+\.\d+(?:\.\d+)?[-+.~_].*", re.ASCII)
_LEADING = re.compile(r"\d{1,9}(?:\.\d{1,9}){0,3}", re.ASCII)


class VersionOrigin(enum.Enum):
    """Origin of a version string."""

    NONE = "none"  # empty, or not recognised
    KERNEL = "kernel"  # the kernel's release: an in-tree driver without a version of its own
    UPSTREAM = "upstream"  # 2.1.0K, 2.12.1-k: old in-tree drivers, whose version often stayed while fixes were added
    GITHUB = "github"  # 2.17.0g: Amazon's code base, from DKMS or built into Amazon Linux's kernel
    OWN = "own"  # 4.0.3: an out-of-tree driver's version


def version_origin(version: str, release: str) -> VersionOrigin:
    """Classify a driver's version; `release` is the running kernel's (`uname -r`)."""
    if not version or version.upper() == "N/A":
        return VersionOrigin.NONE
    if version == release:
        return VersionOrigin.KERNEL
    if (match := _OWN.fullmatch(version)) is None:
        return VersionOrigin.KERNEL if _RELEASE.fullmatch(version) else VersionOrigin.NONE
    if match[2]:
        return VersionOrigin.GITHUB
    if match[3]:
        return VersionOrigin.UPSTREAM
    return VersionOrigin.KERNEL if version != match[1] and _RELEASE.fullmatch(version) else VersionOrigin.OWN


def version_numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers, for comparison: `2.17.0g` → (2, 17, 0); () where there are none."""
    match = _LEADING.match(version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def is_version(text: str) -> bool:
    """Return whether text can be a minimum version: numbers and dots, and a driver's own suffix at most."""
    match = _OWN.fullmatch(text)
    return match is not None and text.rstrip("gGkK-") == match[1]


def is_older(version: str, minimum: str) -> bool:
    """Return whether a driver's own version is below a minimum; 2.2 and 2.2.0 are the same."""
    have, want = version_numbers(version), version_numbers(minimum)
    width = max(len(have), len(want))
    return have + (0,) * (width - len(have)) < want + (0,) * (width - len(want))


_PARTS = re.compile(r"\d+|[A-Za-z]+|~", re.ASCII)


def release_key(release: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key that orders kernel releases as rpm and dpkg do: numbers as numbers, above letters, a tilde below everything."""
    parts = (
        (2, int(part), "") if part.isdigit() else (-1, 0, "") if part == "~" else (1, 0, part) for part in _PARTS.findall(release[:200])
    )
    return (*parts, (0, 0, ""))

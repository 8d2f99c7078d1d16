"""Settings that every collector has, and durations in Prometheus' notation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Self

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNITS = {"y": 31_536_000.0, "w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(
    r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII
)  # prometheus/common model/time.go: whole numbers, units from large to small, each at most once


class Duration(float):
    """Duration in seconds, parsed from Prometheus' notation: `"5s"`, `"2m"`, `"1h30m"`, `"500ms"`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Parse a duration. Raises `ValueError`."""
        match = _DURATION.fullmatch(text) if text and len(text) <= 64 else None  # noqa: PLR2004 — no duration is longer
        if match is None:
            raise ValueError(f'{text!r:.80} is not a duration; expected one like "5s", "2m" or "1h30m"')
        return cls(sum(int(count) * unit for count, unit in zip(match.groups(), _UNITS.values(), strict=True) if count))


class Derived:
    """Value in a section that is taken from other sections (`Settings.with_others`). No key sets it; `instead` names those that do."""

    instead: ClassVar[str]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Keys of every collector's section; a subclass adds its own, each with a default. Messages begin with the key."""

    enabled: bool = True
    interval: Duration = Duration(30.0)

    def __post_init__(self) -> None:
        refuse_unless(self.interval >= 0.1, "interval: too short; expected at least 100ms")  # noqa: PLR2004 — below, the scheduler dominates the load

    def with_others(self, sections: Mapping[str, Any]) -> Self:  # noqa: ARG002
        """Return these settings with what they take from other collectors' sections, by name."""
        return self


def refuse_unless(valid: bool, reason: str) -> None:  # noqa: FBT001 — the condition stands first, as in assert
    """Raise `ValueError(reason)` unless valid; msgspec adds the path of the section."""
    if not valid:
        raise ValueError(reason)


def decode_hook(kind: type, value: Any) -> Any:  # noqa: ANN401 — msgspec's own signature
    """Decode types that msgspec does not support (its `dec_hook`)."""
    if issubclass(kind, Duration) and isinstance(value, str):
        return kind.parse(value)
    if issubclass(kind, Derived):
        raise ValueError(f"cannot be set; expected {kind.instead}")  # noqa: TRY004 — msgspec adds the key to a ValueError
    msg = f'expected a duration like "5s", got {value!r:.80}' if issubclass(kind, Duration) else f"no decoder for {kind.__name__}"
    raise ValueError(msg)

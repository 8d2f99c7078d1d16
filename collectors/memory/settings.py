"""`[memory]` in vitald.toml."""

from __future__ import annotations

from collectors.settings import Duration, Settings, refuse_unless


class MemorySettings(Settings, frozen=True, kw_only=True):
    """Thresholds. `max_extrapolation`: the longest forecast, as a multiple of the span that the growth was observed over."""

    warn_within: Duration = Duration(86_400.0)
    critical_within: Duration = Duration(7_200.0)
    available_percent: float = 3.0
    max_extrapolation: float = 4.0

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        refuse_unless(self.warn_within >= self.critical_within, "warn_within: too short; expected at least critical_within")
        refuse_unless(0 <= self.available_percent < 100, "available_percent: out of range; expected at least 0 and below 100")  # noqa: PLR2004
        refuse_unless(1 <= self.max_extrapolation <= 1000, "max_extrapolation: out of range; expected 1 to 1000")  # noqa: PLR2004

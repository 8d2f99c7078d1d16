"""Timestamps of log lines as Unix time. RFC 3164 has neither year nor zone: the year is inferred, the zone is the local one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_DAY = 86_400.0
_ISO = re.compile(rb"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?")
_SYSLOG = re.compile(
    rb"(?:[A-Z][a-z]{2} )?(?:([^\s\d]{2,12})|(\d{1,2})[^\s\d]{1,6}) +(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?: (\d{4}))?"
)
_UNIX = re.compile(rb"\d{9,10}\.\d{6}")
_MONTHS = {
    name.encode(): number
    for number, names in enumerate(
        (
            "jan janv jän ene gen", "feb févr fév", "mar mars mär mrz", "apr avr abr", "may mai mag mei", "jun juin giu",
            "jul juil lug", "aug août ago", "sep sept set", "oct okt ott", "nov", "dec déc dez dic",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip


def parse(text: bytes, reference: float) -> float | None:
    """Parse a header's time; None where it is none. `reference` (now, or the file's mtime) determines a missing year.

    A time up to a day after the reference is accepted, since clocks differ.
    """
    try:
        if (match := _ISO.fullmatch(text)) is not None:
            return _iso(match)
        if (match := _SYSLOG.fullmatch(text)) is not None:
            return _syslog(match, reference)
        if _UNIX.fullmatch(text) is not None:
            return float(text)
    except (ValueError, OverflowError, OSError):  # 30 February, the year 0
        return None
    return None


def _iso(match: re.Match[bytes]) -> float:
    date, clock, fraction, zone = (part.decode() if part else "" for part in match.groups())
    moment = datetime.fromisoformat(f"{date}T{clock}")
    if zone and zone != "Z":
        minutes = int(zone[1:3]) * 60 + int(zone[-2:])
        moment = moment.replace(tzinfo=timezone(timedelta(minutes=-minutes if zone[0] == "-" else minutes)))
    elif zone:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() + float(f"0.{fraction or 0}")


def _syslog(match: re.Match[bytes], reference: float) -> float | None:
    name, number, day, hour, minute, second, fraction, year = match.groups()
    month = int(number) if number else _MONTHS.get(name.lower().rstrip(b".")) or _MONTHS.get(name[:3].lower())
    if month is None:
        return None

    def in_year(chosen: int) -> float:
        moment = datetime(chosen, month, int(day), int(hour), int(minute), min(59, int(second)))  # noqa: DTZ001 — the format has no zone
        return moment.timestamp() + float(b"0." + (fraction or b"0"))

    if year:
        return in_year(int(year))
    newest = datetime.fromtimestamp(reference + _DAY).year  # noqa: DTZ006
    for chosen in range(newest, newest - 5, -1):  # 29 February needs up to four
        try:
            if (at := in_year(chosen)) <= reference + _DAY:
                return at
        except ValueError:
            continue
    return None

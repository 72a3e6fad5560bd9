"""Dates as filters and entities write them, turned into instants that compare.

An instant is a whole number of nanoseconds since 1970 in UTC: exact, without the ranges of `datetime`.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import lru_cache

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
    r"(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)?)?",
    re.ASCII,
)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_NANOSECONDS = 10**9


def instant(text: str) -> int | None:
    """The instant that an ISO date or date-time names, or None. Without a zone it is UTC, without a time midnight."""
    if text[4:5] != "-":
        return None
    if len(text) == 24 and text[7] == "-" and text[10] == "T" and text[19] == "." and text[23] == "Z":
        return _usual(text)
    return _any(text)


@lru_cache(1024)  # one event is asked for its date by many filters
def _usual(text: str) -> int | None:
    """The shape that the platform writes, `2024-05-02T12:00:00.000Z`, read in C: ten times as fast."""
    try:
        passed = datetime.fromisoformat(text) - _EPOCH
    except ValueError:
        return None
    return ((passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds) * 1_000


def _any(text: str) -> int | None:
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, zone_hour, zone_minute = found.groups(default="0")
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    if hour > "23" or minute > "59" or second > "59" or zone_hour > "23" or zone_minute > "59":
        return None
    seconds = days * 86_400 + int(hour) * 3_600 + int(minute) * 60 + int(second)
    east = int(zone_hour) * 3_600 + int(zone_minute) * 60
    seconds -= -east if sign == "-" else east
    return seconds * _NANOSECONDS + int(fraction[:9].ljust(9, "0"))


def instant_of_epoch(milliseconds: int | float) -> int | float:
    return milliseconds * 1_000_000


def number(text: str) -> int | float | None:
    """The number that a text writes in decimal, or None."""
    if not _NUMBER.fullmatch(text):
        return None
    return int(text) if len(text) <= 18 and text.lstrip("+-").isdigit() else float(text)

"""Days between dates, counted in the proleptic Gregorian calendar without Python's own date."""

from __future__ import annotations

import re

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


def day_number(text: str) -> int:
    """Days since the beginning of year 1. Raises ValueError for what is no date."""
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no date")
    year, month, day = map(int, found.groups())
    if not (1 <= month <= 12 and 1 <= day <= _length(year, month)):
        raise ValueError(f"{text!r} is no date")
    past = year - 1
    leaps = past // 4 - past // 100 + past // 400
    return 365 * past + leaps + _BEFORE_MONTH[month - 1] + (month > 2 and _leap(year)) + day


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _length(year: int, month: int) -> int:
    if month == 2:
        return 29 if _leap(year) else 28
    return 30 if month in (4, 6, 9, 11) else 31

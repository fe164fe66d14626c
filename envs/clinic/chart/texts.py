"""Lines of a chart as tools write them, and read again by policies."""

from __future__ import annotations

import re

from common.records import Record
from envs.clinic.chart.codes import CODES
from envs.clinic.world import Reading

DAY, HOUR = 1440, 60
NOTHING = "Nothing is recorded."
MOMENT = r"day (\d+) (\d\d):(\d\d)"
_ROW = re.compile(rf"^{MOMENT} (\w+) (\S+)(?: (\S+))?$", re.MULTILINE)


class Row(Record):
    """A row of a chart."""

    t_min: int
    code: str
    value: float
    unit: str


def moment(t_min: int) -> str:
    """`day 2 06:00`: minute 0 is day 1 00:00."""
    return f"day {t_min // DAY + 1} {t_min % DAY // HOUR:02d}:{t_min % HOUR:02d}"


def minute(day: str, hours: str, minutes: str) -> int:
    """The minute that the groups of MOMENT say."""
    return (int(day) - 1) * DAY + int(hours) * HOUR + int(minutes)


def line(row: Reading) -> str:
    """`day 2 06:00 creatinine 186 umol/L`."""
    about = CODES[row.code]
    if about.words:
        return f"{moment(row.t_min)} {row.code} {about.words[round(row.value)]}"
    decimals = about.decimals if row.unit == about.unit else 0
    return f"{moment(row.t_min)} {row.code} {row.value:.{decimals}f} {row.unit}".rstrip()


def lines(rows: list[Reading]) -> str:
    """One row a line."""
    return "\n".join(map(line, rows)) or NOTHING


def rows_of(text: str) -> tuple[Row, ...]:
    """The rows of a tool's answer."""
    return tuple(_row(found) for found in _ROW.finditer(text))


def _row(found: re.Match[str]) -> Row:
    day, hours, minutes, code, value, unit = found.groups()
    words = CODES[code].words
    number = float(words.index(value)) if words else float(value)
    return Row(t_min=minute(day, hours, minutes), code=code, value=number, unit=unit or "")

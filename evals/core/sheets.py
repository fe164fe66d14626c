"""Tables of a report, the same in Markdown and on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table

from common.records import Record
from common.statistics import Interval
from envs.contract.page_view import words
from evals.core.measured import Best, Difference

FRAME = 3
"""Characters beside the text of a column: a line and a space on either side."""
_NUMERIC = tuple("0123456789+-")


class Sheet(Record):
    """One table and a remark under it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remark: str = ""


def section(sheet: Sheet) -> str:
    """A sheet in Markdown."""
    lines = [sheet.columns, ["---"] * len(sheet.columns), *sheet.rows]
    table = "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
    return "\n\n".join([f"## {sheet.title}", table, *([sheet.remark] if sheet.remark else [])])


def show(sheet: Sheet, console: Console) -> None:
    """Print a sheet, as several tables where it is wider than the console: a number is shown whole."""
    for at, columns in enumerate(_fitting(sheet, console.width)):
        table = Table(title="" if at else sheet.title, title_justify="left")
        for column, width in zip(columns, _widths(sheet, columns, console.width), strict=True):
            table.add_column(sheet.columns[column], justify="right" if column else "left", width=width)
        for row in sheet.rows:
            table.add_row(*(row[column] for column in columns))
        console.print(table)
    console.print(sheet.remark, highlight=False)


def _fitting(sheet: Sheet, width: int) -> list[list[int]]:
    """The columns of each table; the first one names the rows of all."""
    widths = [_least(sheet, column) + FRAME for column in range(len(sheet.columns))]
    tables = [[0]]
    for column in range(1, len(widths)):
        if len(tables[-1]) > 1 and sum(widths[one] for one in (*tables[-1], column)) + 1 > width:
            tables.append([0])
        tables[-1].append(column)
    return tables


def _widths(sheet: Sheet, columns: list[int], width: int) -> list[int]:
    """As wide as their texts where that fits, else the least, and the rest for the names of the rows."""
    wide = [max(map(len, (sheet.columns[one], *(row[one] for row in sheet.rows)))) for one in columns]
    if sum(wide) + FRAME * len(wide) < width:
        return wide
    _, *others = [_least(sheet, one) for one in columns]
    room = width - 1 - FRAME - sum(one + FRAME for one in others)
    return [max(min(room, wide[0]), _least(sheet, columns[0])), *others]


def _least(sheet: Sheet, column: int) -> int:
    """The width at which no number of a column is broken; words may begin a new line."""
    lengths = [len(word) for word in sheet.columns[column].split()]
    for row in sheet.rows:
        text = row[column]
        lengths += [len(text)] if text[:1] in _NUMERIC else [len(word) for word in text.split()]
    return max(lengths, default=1)


def shown(figure: Interval, form: str = ".3f") -> str:
    """A figure and its interval, or `-`."""
    if figure.value is None or figure.lower is None or figure.upper is None:
        return "-"
    return f"{figure.value:{form}} [{figure.lower:{form}}, {figure.upper:{form}}]"


def compared(one: Difference) -> tuple[str, ...]:
    """Cells of a difference: this, other, their difference, p."""
    return f"{one.this:.3f}", f"{one.other:.3f}", shown(one.gap, "+.3f"), f"{one.p:.4f}"


def against_blind(system: str, groups: Iterable[tuple[str, Mapping[str, Best]]], first: str) -> Sheet:
    """A system against the best of the policies that do not read, by group; `first` names the column of groups."""
    return Sheet(
        title=f"{system} against the best policy that does not read, on the same tasks",
        columns=(first, "measure", "best policy", "this", "that policy", "difference", "p"),
        rows=tuple(
            (group, words(measure), best.policy, *compared(best.difference))
            for group, found in groups
            for measure, best in found.items()
        ),
        remark="The best of all blind policies on these very tasks, so the difference is a cautious one. p of a "
        "paired sign-flip test.",
    )


def by_reason(title: str, groups: Iterable[tuple[str, Mapping[str, int]]], first: str = "ended by") -> Sheet:
    """Counts by reason (rows) and group (columns)."""
    known = list(groups)
    reasons = sorted({reason for _, counts in known for reason in counts})
    rows = tuple((words(reason), *(str(counts.get(reason, 0)) for _, counts in known)) for reason in reasons)
    return Sheet(title=title, columns=(first, *(name for name, _ in known)), rows=rows)

"""Tables of a report, the same in Markdown and on the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from common.records import Record
from common.statistics import Interval


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


def markdown(parts: Iterable[str]) -> str:
    """A document of these paragraphs."""
    return "\n\n".join(parts) + "\n"


def show(sheet: Sheet, console: Console) -> None:
    """Print a sheet."""
    table = Table(sheet.columns[0], title=sheet.title, title_justify="left")
    for column in sheet.columns[1:]:
        table.add_column(column, justify="right")
    for row in sheet.rows:
        table.add_row(*row)
    console.print(table)
    console.print(sheet.remark, highlight=False)


def shown(figure: Interval, form: str = ".3f") -> str:
    """A figure and its interval, or `-`."""
    if figure.value is None or figure.lower is None or figure.upper is None:
        return "-"
    return f"{figure.value:{form}} [{figure.lower:{form}}, {figure.upper:{form}}]"

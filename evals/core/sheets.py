"""Tables of a report, the same in Markdown and on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table

from common.records import Record
from common.statistics import Interval
from envs.contract.page_view import words
from evals.core.measured import Best, Difference


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

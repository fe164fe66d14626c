"""What a suite tells of a result, the same in Markdown and on the terminal: tables, and what they cannot show."""

from __future__ import annotations

from rich.console import Console

from common.records import Record
from evals.core.played import PlayedSettings
from evals.core.sheets import Sheet, section
from evals.core.sheets import show as show_sheet


class Report(Record):
    """`about` are the lines under the title. `drawn`: there is a report.png."""

    title: str
    about: tuple[str, ...]
    sheets: tuple[Sheet, ...]
    limitations: tuple[str, ...]
    drawn: bool = True


def markdown(report: Report) -> str:
    """`report.md`."""
    parts = [f"# {report.title}", "  \n".join(report.about)]
    if report.drawn:
        parts.append("![figures](report.png)")
    return "\n\n".join([*parts, *map(section, report.sheets), "## Limitations", _listed(report)]) + "\n"


def show(report: Report, console: Console) -> None:
    """Print the tables and the limitations."""
    for sheet in report.sheets:
        show_sheet(sheet, console)
    console.print("Limitations", style="italic")
    console.print(_listed(report), highlight=False, markup=False)


def asked(settings: PlayedSettings, episodes: str) -> str:
    """The line about a model that played `episodes`, as `one audit a trial`."""
    s = settings
    return (
        f"Model checksum {s.checksum[:12]}, {s.dtype}; {episodes} at temperature {s.temperature:g}, replies of at most "
        f"{s.max_tokens} tokens, context {s.context}, seed {s.seed}; calls in {s.call_syntax}."
    )


def _listed(report: Report) -> str:
    return "\n".join(f"- {text}" for text in report.limitations)

"""The reports of the games of a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from common.config import RunSpec
from common.records import StoredGroup
from envs.contract.registry import class_of
from envs.contract.report import Outcome, Report, Score

ANY = Report()
"""The report of a game that has none of its own."""
Reports = Mapping[str, Report]
"""By env_id."""
Row = Mapping[str, Any]
"""A line of metrics.jsonl. A game's measure is at `measure_key`."""


def reports_of(spec: RunSpec) -> dict[str, Report]:
    """The report of each game of the spec."""
    return {settings.id: getattr(class_of(settings), "report", ANY) for settings in spec.envs}


def measure_key(env_id: str, name: str) -> str:
    """Where a line of metrics.jsonl has a game's measure."""
    return f"{env_id}/{name}"


def measured(reports: Reports, groups: Iterable[StoredGroup]) -> dict[str, float | None]:
    """Every game's measures of one batch, by `measure_key`; those of a game without a task in it are None."""
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    for group in groups:
        outcomes[group.labelled.task.env].append(
            Outcome(labelled=group.labelled, rewards=group.rewards, stats=group.stats)
        )
    return {
        measure_key(env_id, name): value
        for env_id, report in reports.items()
        for name, value in report.measure(outcomes[env_id]).items()
    }


def history(env_id: str, report: Report, rows: Iterable[Row]) -> list[dict[str, float | None]]:
    """The measures of one game in each line."""
    return [{one.name: value(row, env_id, one.name) for one in report.measures} for row in rows]


def value(row: Row, env_id: str, name: str) -> float | None:
    """One measure of a line; None where it could not be counted."""
    found: float | None = row.get(measure_key(env_id, name))
    return found


def score(reports: Reports, rows: Iterable[Row]) -> Score | None:
    """The policy's score: a game's own score, or with several games the mean of the first figure of each.

    None while a game has counted nothing.
    """
    rows = list(rows)
    scores = [report.score(history(env_id, report, rows)) for env_id, report in reports.items()]
    known = [one for one in scores if one is not None]
    if len(known) < len(scores):
        return None
    return known[0] if len(known) == 1 else (sum(one[0] for one in known) / len(known),)


def score_line(reports: Reports, found: Score) -> str:
    """A score in a few words."""
    if len(reports) == 1:
        return next(iter(reports.values())).score_line(found)
    return f"mean score of {len(reports)} games {found[0]:.2f}"

"""The reports of the games of a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any

from common.buffer_records import StoredGroup
from common.config import RunSpec
from common.records import Record
from envs.contract.registry import class_of
from envs.contract.report import Measures, Outcome, Report, Score

ANY = Report()
"""The report of a game that has none of its own."""
Reports = Mapping[str, Report]
"""By env_id."""
Readings = Mapping[str, Sequence[Sequence[int]]]
"""By task_id, of each of its episodes: which replies the game could not read, from 0. Without tasks whose game reads
every reply (`Environment.unread`)."""
ALL_READ: Readings = MappingProxyType({})
Row = Mapping[str, Any]
"""A line of metrics.jsonl. A game's measure is at `measure_key`."""


def reports_of(spec: RunSpec) -> dict[str, Report]:
    """The report of each game of the spec."""
    return {settings.id: getattr(class_of(settings), "report", ANY) for settings in spec.envs}


def measure_key(env_id: str, name: str) -> str:
    """Where a line of metrics.jsonl has a game's measure."""
    return f"{env_id}/{name}"


def measured(reports: Reports, groups: Iterable[StoredGroup], readings: Readings = ALL_READ) -> dict[str, float | None]:
    """Every game's measures of one batch, by `measure_key`; those of a game without a task in it are None."""
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    for group in groups:
        unread = tuple(map(len, readings.get(group.task_id, ())))
        outcomes[group.labelled.task.env].append(
            Outcome(labelled=group.labelled, rewards=group.rewards, stats=group.stats, unread=unread)
        )
    return {
        measure_key(env_id, name): value
        for env_id, report in reports.items()
        for name, value in report.measure(outcomes[env_id]).items()
    }


def history(env_id: str, report: Report, rows: Iterable[Row]) -> list[dict[str, float | None]]:
    """The measures of one game in each line."""
    return [{one.name: value(row, env_id, one.name) for one in report.measures} for row in rows]


class AlarmSpan(Record):
    """An alarm that was in effect from one step to another; the text is the last one."""

    first: int
    last: int
    text: str


def alarm_spans(env_id: str, report: Report, rows: Iterable[Row]) -> list[AlarmSpan]:
    """When a game's alarm was in effect. Steps without a task of the game are passed over."""
    rows = list(rows)
    past = [(row["step"], one) for row, one in zip(rows, history(env_id, report, rows), strict=True) if played(one)]
    texts = report.alarms([measures for _, measures in past])
    told = [(step, text) for (step, _), text in zip(past, texts, strict=True)]
    spans = [list(found) for raised, found in groupby(told, key=lambda pair: bool(pair[1])) if raised]
    return [AlarmSpan(first=found[0][0], last=found[-1][0], text=found[-1][1]) for found in spans]


def played(measures: Measures) -> bool:
    """Whether the batch held a task of the game."""
    return any(value is not None for value in measures.values())


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

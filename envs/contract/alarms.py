"""Alarms over a run's measures: one is outside its band, or several drift away from where the run began.

Training over several turns is known to drift to longer replies and fewer calls, and its reward falls only afterwards.
Drift is judged against the run itself, because no range of lengths suits all games:

    beginning   the median of the first quarter of the steps so far, of 4 to 16 of them
    newest      the median of the last 3 steps
    far         newest left the beginning by more than the measure's `Drift` allows, and by more than 4 standard
                deviations of the steps' noise
    excused     the goal (the share solved) rose, and has kept more than half of its rise: then replies may grow

Two steps in a row with a measure that is far raise the alarm; three in a row in which all are less than half as far,
or excused, end it. So noise raises none, and one that is raised does not flicker (tests/envs/contract/test_alarms.py).
All of it is a function of the history: a resumed run, the page and the plot say what the console said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean, median

from common.records import Record
from envs.contract.measures import Band, Drift, History, Measure, values

FIRST, MOST = 4, 16  # steps that are the beginning
NEWEST = 3
NOISE = 4.0  # standard deviations
RECENT = 32  # steps from which the noise is estimated
SIGMA = 1.128  # mean of |x - y| over the standard deviation of x and y, Gaussian and independent: 2 / sqrt(pi)
RAISED_AFTER, CLEARED_AFTER = 2, 3
NEAR, HOME = 0.5, 0.25  # of what is far: so little ends the alarm; so little is still where the run began
GAIN = 0.05  # of the goal: a smaller rise is none
REPEATED = 8  # steps until people are told again
NAMED = 3  # measures in an alarm


class Alarm(Record):
    """An alarm in effect after a step. `told`: people are told now; else they were told before."""

    text: str
    told: bool


Alarms = list[Alarm | None]
"""Of each step, the first step first."""


class Move(Record):
    """Where a measure is. `size`: its distance from the beginning, 1 is far; `steps`: since it left the beginning."""

    begin: float
    newest: float
    size: float = 0.0
    steps: int = 0

    @property
    def words(self) -> str:
        """Which words of a `Drift` fit."""
        return "rises" if self.newest >= self.begin else "falls"


def of_band(name: str, band: Band, seen: Sequence[float | None]) -> Alarms:
    """In effect while the newest `band.steps` values are outside the band; told again after as many steps."""
    found, outside = Alarms(), 0
    for at, value in enumerate(seen, 1):
        outside = 0 if band.holds(value) else outside + 1
        text = _band_text(name, band, seen[at - band.steps : at], outside) if outside >= band.steps else ""
        found.append(Alarm(text=text, told=outside % band.steps == 0) if text else None)
    return found


def of_drift(measures: Sequence[Measure], history: History, goal: Measure, remedy: str) -> Alarms:
    """One alarm over all measures that have a `drift`; `goal` excuses what goes with its rise."""
    watched = [(one, moves(one.drift, values(history, one.name))) for one in measures if one.drift is not None]
    if not watched:
        return [None] * len(history)
    goals = moves(Drift(least=GAIN), values(history, goal.name))
    found, raised, far, near = Alarms(), 0, 0, 0
    for at, excused in enumerate(_excused(goals)):
        now = [(one, move) for one, where in watched if (move := where[at]) is not None]
        far = far + 1 if not excused and any(move.size >= 1 for _, move in now) else 0
        near = near + 1 if excused or all(move.size < NEAR for _, move in now) else 0
        raised = raised + 1 if far >= RAISED_AFTER or (raised and near < CLEARED_AFTER) else 0
        text = _drift_text(now, (goal, goals[at]), remedy) if raised else ""
        found.append(Alarm(text=text, told=raised % REPEATED == 1) if raised else None)
    return found


def moves(drift: Drift, seen: Sequence[float | None]) -> list[Move | None]:
    """Where the measure was in each step; a step that could not count it changes nothing. None before it is known."""
    known, found = list[float](), list[Move | None]()
    for value in seen:
        before = found[-1] if found else None
        if value is None:
            found.append(before)
            continue
        known.append(value)
        found.append(_move(drift, known, before.steps if before else 0))
    return found


def beginning(known: Sequence[float]) -> float:
    """The median of the first steps, of one or more."""
    return median(known[: max(FIRST, min(MOST, len(known) // 4))])


def _move(drift: Drift, known: Sequence[float], steps: int) -> Move | None:
    if len(known) < FIRST + NEWEST:
        return None
    begin, newest = beginning(known), median(known[-NEWEST:])
    far = max(drift.allowed(begin, newest - begin), NOISE * _noise(known[-RECENT:]))
    size = abs(newest - begin) / far
    return Move(begin=begin, newest=newest, size=size, steps=0 if size < HOME else steps + 1)


def _noise(seen: Sequence[float]) -> float:
    """Standard deviation of independent noise, by successive differences: a slow drift hardly enters them."""
    return fmean(abs(after - before) for before, after in pairwise(seen)) / SIGMA


def _excused(goals: Sequence[Move | None]) -> Iterator[bool]:
    best = 0.0
    for goal in goals:
        if goal is None:
            yield False
            continue
        best = max(best, goal.newest - goal.begin)
        yield goal.newest - goal.begin > max(GAIN, best / 2)


def _band_text(name: str, band: Band, newest: Sequence[float | None], steps: int) -> str:
    shown = ", ".join("-" if value is None else f"{value:.0%}" for value in newest)
    if all(value is None for value in newest):
        shown = "could not be measured, since no reply was readable,"
    return (
        f"{name.replace('_', ' ')} {shown} in the last {band.steps} batches ({steps} in a row outside "
        f"{band.low:.0%} to {band.high:.0%}): {band.remedy}"
    )


def _drift_text(now: Sequence[tuple[Measure, Move]], goal: tuple[Measure, Move | None], remedy: str) -> str:
    """The farthest moves, then the goal's."""
    told = sorted(((one, move) for one, move in now if move.size >= NEAR), key=lambda found: -found[1].size)[:NAMED]
    text = ", ".join(_move_text(one, move) for one, move in told) or "drift is ending"
    over = f" over {max(move.steps for _, move in told)} steps" if told else ""
    measure, won = goal
    score = "" if won is None else f", while the {measure.name.replace('_', ' ')} goes {_values(measure, won)}"
    return f"{text}{over}{score}: {remedy}"


def _move_text(measure: Measure, where: Move) -> str:
    assert measure.drift is not None
    words = getattr(measure.drift, where.words)
    return f"{words}: {_values(measure, where)} {measure.drift.unit}".rstrip()


def _values(measure: Measure, where: Move) -> str:
    return f"{measure.form.format(where.begin)} -> {measure.form.format(where.newest)}"

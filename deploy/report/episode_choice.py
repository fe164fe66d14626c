"""Which episodes are on the page of a run. An episode here is the rollouts of one task in one step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

Row = dict[str, Any]
Episode = list[Row]
Place = tuple[int, str]
"""Step and task_id of an episode."""


def episodes_of(rows: Iterable[Row]) -> list[Episode]:
    """The rollouts, in the order of `read_run`, by task and step."""
    return [list(group) for _, group in groupby(rows, key=lambda row: (row["step"], row["task_id"]))]


def place(episode: Episode) -> Place:
    """Where an episode is in the run."""
    return episode[0]["step"], episode[0]["task_id"]


def choose(episodes: Sequence[Episode], most: int) -> list[Episode]:
    """At most `most` episodes in step order: equally many of each kind, spread evenly over the steps of that kind."""
    by_kind: dict[str, list[int]] = defaultdict(list)
    for number, episode in enumerate(episodes):
        by_kind[episode[0]["kind"]].append(number)
    chosen: list[int] = []
    kinds = sorted(by_kind.values(), key=len)
    for at, numbers in enumerate(kinds):
        share = min(len(numbers), (most - len(chosen)) // (len(kinds) - at))
        chosen += [numbers[k * len(numbers) // share] for k in range(share)]
    return [episodes[number] for number in sorted(chosen)]


def early_and_late(episodes: Sequence[Episode], most: int) -> list[tuple[Episode, Episode]]:
    """A vignette's first and last episode, at least half of the steps apart: the widest, never chosen by reward.

    `episodes` are in step order. Both of a pair are of one game and one kind; the kinds take turns, so that each has a
    pair before another has two.
    """
    half = _gap(episodes[0], episodes[-1]) / 2
    seen: dict[tuple[str, str, str], list[Episode]] = defaultdict(list)
    for episode in episodes:
        first = episode[0]
        seen[first["env"], first["kind"], first["vignette"]].append(episode)
    pairs: dict[tuple[str, str], list[tuple[Episode, Episode]]] = defaultdict(list)
    for (env, kind, _), found in seen.items():
        if 0 < _gap(found[0], found[-1]) >= half:
            pairs[env, kind].append((found[0], found[-1]))
    for of_kind in pairs.values():
        of_kind.sort(key=lambda pair: -_gap(*pair))
    turns = [(turn, of_kind[turn]) for of_kind in pairs.values() for turn in range(min(most, len(of_kind)))]
    return [pair for _, pair in sorted(turns, key=lambda one: one[0])][:most]


def _gap(early: Episode, late: Episode) -> int:
    """Steps between them."""
    gap: int = late[0]["step"] - early[0]["step"]
    return gap


def by_task(rows: Iterable[Row], most: int) -> list[Episode]:
    """The held-out rows of each task, at most `most` versions of it: the first, the last, and evenly in between."""
    tasks: dict[str, Episode] = defaultdict(list)
    for row in rows:
        tasks[row["task_id"]].append(row)
    return [_spread(found, most) for found in tasks.values()]


def _spread(found: Episode, most: int) -> Episode:
    if len(found) <= most:
        return found
    return [found[at * (len(found) - 1) // (most - 1)] for at in range(most)]

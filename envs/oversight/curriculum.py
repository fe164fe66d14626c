"""Which tiers are played when: a list of changes, each from a slot of the plan on.

The list decides the tier of every slot, so a plan is a pure function of it. `phases` follow from the settings alone.
An adaptive curriculum appends to a journal, a JSON line per change; no change begins at a slot that was given out.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from common.files import append_line, parsed_lines
from common.records import Record

LOG = logging.getLogger(__name__)

PHASES = (0.6, 0.85)
"""Shares of a run after which the second and the third phase begin."""
KEPT = 0.2
"""The share of the easiest tier in a mix of three or more."""


class Change(Record):
    """From slot `since` on tiers are drawn with these weights. `skills`, by tier, are why."""

    since: int
    weights: dict[str, float]
    skills: dict[str, float] = {}


class Schedule(Record):
    """Changes in order, the first since slot 0."""

    changes: tuple[Change, ...]

    def weights(self, slot: int) -> dict[str, float]:
        """The weights that hold at a slot."""
        return next(change.weights for change in reversed(self.changes) if change.since <= slot)

    def tier(self, seed: int, slot: int) -> str:
        """The tier of a slot; twins share theirs."""
        pair = slot // 2
        weights = self.weights(2 * pair)
        return random.Random(f"{seed}:tier:{pair}").choices(list(weights), list(weights.values()))[0]


def mixed(tiers: Sequence[str]) -> dict[str, float]:
    """The weights of tiers that are played together, the easiest first."""
    if len(tiers) < 3:
        return {tier: 1 / len(tiers) for tier in tiers}
    return {tiers[0]: KEPT, **{tier: (1 - KEPT) / (len(tiers) - 1) for tier in tiers[1:]}}


def constant(tiers: Sequence[str]) -> Schedule:
    """All tiers alike."""
    return Schedule(changes=(Change(since=0, weights={tier: 1 / len(tiers) for tier in tiers}),))


def phases(tiers: Sequence[str], tasks: int) -> Schedule:
    """The easiest tier, then the first two, then all, over that many tasks."""
    sets = (tiers[:1], tiers[:2], tiers)
    starts = (0, *(_even(share * tasks) for share in PHASES))
    return Schedule(
        changes=tuple(Change(since=since, weights=mixed(some)) for since, some in zip(starts, sets, strict=True))
    )


def first(tiers: Sequence[str]) -> Schedule:
    """The start of an adaptive curriculum: the easiest tier."""
    return Schedule(changes=(Change(since=0, weights=mixed(tiers[:1])),))


def next_change(
    schedule: Schedule, tiers: Sequence[str], slot: int, skills: Mapping[str, float], threshold: float
) -> Change | None:
    """The change, from `slot` on, that held-out skills by tier ask for: None while the hardest tier that is played is
    not mastered, or none is left. Raises ValueError for a slot before an earlier change."""
    played = schedule.changes[-1].weights
    if slot < schedule.changes[-1].since:
        raise ValueError(f"slot {slot} was planned before: the newest change is since {schedule.changes[-1].since}")
    if len(played) == len(tiers) or skills.get(list(played)[-1], 0.0) <= threshold:
        return None
    return Change(since=_even(slot + 1), weights=mixed(tiers[: len(played) + 1]), skills=dict(skills))


def read(journal: Path, tiers: Sequence[str]) -> Schedule:
    """The schedule that a journal has come to. A line that is damaged, or names other tiers, is left out and logged."""

    def change(line: bytes) -> Change:
        made = msgspec.json.decode(line, type=Change)
        if (
            not made.weights
            or set(made.weights) - set(tiers)
            or not all(weight > 0 for weight in made.weights.values())
        ):
            raise ValueError(f"weights {made.weights}")
        return made

    changes = parsed_lines(journal, change)
    for damaged in changes.damaged:
        LOG.warning(damaged)
    return Schedule(changes=(*first(tiers).changes, *changes.found))


def append(journal: Path, change: Change) -> None:
    """Add a change."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    append_line(journal, msgspec.json.encode(change))


def _even(slot: float) -> int:
    """The first slot of a pair of twins, at or after `slot`."""
    return 2 * -(-int(slot) // 2)

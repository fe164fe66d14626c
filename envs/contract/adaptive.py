"""A game whose tasks become harder as the policy becomes better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from common.statistics import Interval
from envs.contract.env import Environment
from envs.contract.mixture import Mixture

NOTHING: Mapping[str, Interval] = {}


@runtime_checkable
class Adaptive(Protocol):
    """A game that wants to know how the policy does."""

    def adapt(self, slot: int, measures: Mapping[str, Interval]) -> bool:
        """Whether the plan changes, for slots after `slot`, the newest that any Scribe has claimed.

        `measures` are the newest held-out ones of the game. The change is on disk when this returns, where the game's
        other processes find it: `plan` stays a function of the index alone for every slot that was ever planned.
        """


def adapt(env: Environment, slot: int, measures: Mapping[str, Mapping[str, Interval]]) -> tuple[str, ...]:
    """Tell every adaptive game of a run its newest held-out measures; the ids of those that change their plan.

    `slot` is one that no Scribe has claimed yet, nor will before this returns. A run calls this after each point of its
    held-out curve.
    """
    games = env.parts(slot) if isinstance(env, Mixture) else {env.env_id: (env, slot)}
    return tuple(
        name
        for name, (game, own) in games.items()
        if isinstance(game, Adaptive) and game.adapt(own, measures.get(name, NOTHING))
    )

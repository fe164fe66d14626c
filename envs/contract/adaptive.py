"""A game whose tasks become harder as the policy becomes better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from common.statistics import Interval


@runtime_checkable
class Adaptive(Protocol):
    """A game that wants to know how the policy does. Whoever evaluates during a run calls `adapt` after each point."""

    def adapt(self, slot: int, measures: Mapping[str, Interval]) -> bool:
        """Whether the plan changes, for slots after `slot`, the newest that any Scribe has claimed.

        `measures` are the newest held-out ones of the game. The change is on disk when this returns, where the game's
        other processes find it: `plan` stays a function of the index alone for every slot that was ever planned.
        """

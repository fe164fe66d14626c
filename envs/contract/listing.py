"""A game that lists tasks by name, the same for everybody: what a benchmark is quoted on."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from common.records import Episode, Label, LabelledTask


@runtime_checkable
class Listing(Protocol):
    """It has methods of these names beside the contract's."""

    def release(self) -> tuple[str, ...]:
        """The names of the release tasks with the game's settings, in order."""

    def release_task(self, name: str) -> LabelledTask:
        """The task of a name. Raises ValueError for a name that is not listed."""

    def foreign(self, episode: Episode, label: Label) -> int:
        """How many calls of an episode name something that its task does not have."""

"""What a game may offer to the conformance check beside the contract: policies that must not earn, and texts that must
not tell the label of a single decision. A game of many decisions per task needs both; it has methods of these names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from common.records import LabelledTask, Record
from envs.contract.env import Act

Policy = Callable[[], Act]
"""Begins an episode: a policy may count its turns."""


class Unit(Record):
    """What is said of one decision in one place (`channel`), before the policy reads what decides it.

    `positive` is its label.
    """

    channel: str
    text: str
    positive: bool


@runtime_checkable
class Probed(Protocol):
    """A game that has more to check."""

    def blind(self) -> Mapping[str, Policy]:
        """The game's own policies that ignore what decides, by name."""

    def units(self, labelled: LabelledTask) -> tuple[Unit, ...]:
        """The texts about each decision of a task."""

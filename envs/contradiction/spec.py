"""The settings of the contradiction game."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field

from common.sections import EnvSettings
from envs.verdict.spec import RewardSpec


class ContradictionSettings(EnvSettings):
    """The contradiction game. It writes its own notes."""

    checker: ClassVar[str] = "envs.contradiction.checker:make"
    leak_limit: ClassVar[float] = 1.0
    """Drugs of one class share their ending, so a classifier that counts endings solves the game by intent."""

    id: str = "contradiction"
    heldout: float = Field(0.2, ge=0, lt=1)
    """Share of the wordings kept out of training."""
    reward: RewardSpec = RewardSpec()
    """What a verdict earns."""

    @property
    def has_heldout(self) -> bool:
        """Whether a share of the wordings is kept out of training."""
        return self.heldout > 0

    def settled(self, steps: int) -> Self:
        """With the schedule of the false-alarm penalty in numbers."""
        return self.model_copy(update={"reward": self.reward.over(steps)})

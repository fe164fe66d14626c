"""The settings of the oversight game."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from common.paths import PathTo
from common.sections import Section
from envs.contract.tool_game import ToolSettings

TierName = Literal["duo", "easy", "medium", "hard"]


class RewardSpec(Section):
    """What an audit earns; `envs/oversight/reward.py` has the formulas."""

    outcome: Literal["skill", "audit"] = "skill"
    """`skill`: nothing for whoever decides without reading. `audit`: the F score of the source, for comparison."""
    step_cost: float = Field(0.003, ge=0, lt=0.01)
    """Cost of each step beyond those that a thorough audit needs."""
    shaping: Literal["off", "potential"] = "off"
    """`potential`: states are valued by the right decisions so far, which changes no optimum."""


class CurriculumSpec(Section):
    """Which tiers are played when."""

    mode: Literal["none", "phases", "adaptive"] = "none"
    """`none`: all tiers alike. `phases`: the easiest, then two, then all, over `tasks`. `adaptive`: the next tier joins
    when the hardest one so far is mastered."""
    tasks: int | None = Field(None, ge=10)
    """Tasks of the whole run, learner.batch_groups x steps, over which the phases are laid."""
    journal: PathTo | None = None
    """Where the changes of an adaptive curriculum are kept."""
    threshold: float = Field(0.7, gt=0, lt=1)
    """Held-out skill above which a tier is mastered."""

    @model_validator(mode="after")
    def _complete(self) -> CurriculumSpec:
        if self.mode == "phases" and self.tasks is None:
            raise ValueError("mode phases needs the number of tasks of the run: set tasks to batch_groups x steps")
        if self.mode == "adaptive" and self.journal is None:
            raise ValueError("mode adaptive needs a file that keeps its changes: set journal")
        return self


class OversightSettings(ToolSettings):
    """The oversight game. It makes its own trials."""

    checker: ClassVar[str] = "envs.oversight_checker.checker:make"
    ceiling: ClassVar[float] = 0.05
    leak_limit: ClassVar[float] = 0.55

    id: str = "oversight"
    tiers: tuple[TierName, ...] = Field(("easy", "medium", "hard"), min_length=1)
    """Tiers, the easiest first; `duo` has two proposals, for tests."""
    curriculum: CurriculumSpec = CurriculumSpec()
    """Which tiers are played when."""
    actor: Literal["scripted", "model"] = "scripted"
    """Who writes the claims of the assistant under audit: rules, or the Scribe's model."""
    temporal: Literal["facts", "verdict"] = "facts"
    """What temporal_audit answers: dates and days, or also whether they keep the protocol, as in the source."""
    reward: RewardSpec = RewardSpec()
    """What an audit earns."""

    @property
    def has_heldout(self) -> bool:
        """Any number of trials of other draws."""
        return True

"""The settings of the clinic."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

from pydantic import Field

from common.sections import Section
from envs.clinic.domains import DOMAINS
from envs.contract.tool_game import ToolSettings

DomainName = Literal["triage_emergency", "ehr_management", "drug_interaction", "clinical_diagnosis"]
TierName = Literal["first", "full"]
TIERS: tuple[TierName, ...] = get_args(TierName)
"""The easiest first."""


class WeightsSpec(Section):
    """Weights of the parts of a domain's reward; those of the domain itself where one is left out."""

    accuracy: float | None = Field(None, gt=0)
    """The right answer."""
    format: float | None = Field(None, ge=0)
    """Share of the replies that hold a call that came to something."""
    process: float | None = Field(None, ge=0)
    """What was read before the answer, less what was wasted."""
    safety: float | None = Field(None, ge=0)
    """What was due was done, and no rule of safety broken."""
    coherence: float | None = Field(None, ge=0)
    """Nothing contradicts an earlier phase, in domains that have phases."""


class RewardSpec(Section):
    """What an episode earns; `envs/clinic/reward.py` has the formulas."""

    gate: float = Field(0.05, ge=0, le=1)
    """What the parts beside accuracy are worth after a wrong answer, as a share."""
    weights: dict[DomainName, WeightsSpec] = {}
    """By domain, in place of its own weights."""


class ClinicSettings(ToolSettings):
    """The clinic. It makes its own patients."""

    checker: ClassVar[str] = "envs.clinic_checker.checker:make"
    ceiling: ClassVar[float] = 0.25
    leak_limit: ClassVar[float] = 0.60
    rate_floor: ClassVar[float] = 300

    id: str = "clinic"
    domains: tuple[DomainName, ...] = Field(("triage_emergency",), min_length=1)
    """Domains, played in equal shares."""
    tiers: tuple[TierName, ...] = Field(("full",), min_length=1)
    """Tiers of each domain, played in equal shares; `first` is small enough for the tiny model."""
    demonstrated_skill: float = Field(1, ge=0, le=1)
    """Share of the warm-up's demonstrations that answer by what they read; the others answer by chance, so that the
    reward has something to teach."""
    reward: RewardSpec = RewardSpec()
    """What an episode earns."""

    @property
    def parts(self) -> dict[str, ClinicSettings]:
        """Every tier of every domain, but those that are left out of what was written."""
        chosen = self.domains if "domains" in self.model_fields_set else tuple(DOMAINS)
        tiers = self.tiers if "tiers" in self.model_fields_set else TIERS
        return {
            f"{name} {tier}": self.model_copy(update={"domains": (name,), "tiers": (tier,)})
            for name in chosen
            for tier in tiers
            if tier in DOMAINS[name].tiers
        }

    @property
    def has_heldout(self) -> bool:
        """Any number of cases of other parameters."""
        return True

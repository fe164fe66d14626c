"""RunSpec: every setting of a run, and what must hold between its sections. YAML < environment variables < flags."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from common.backends import BACKENDS, best_dtype
from common.learner_sections import LORA_RANKS, SCRIBE_KL, LearnerSpec, ScribeSpec, WarmUpSpec, WeightsSpec
from common.paths import PathTo
from common.sections import (
    SCRIBE_TEMPERATURE,
    BufferSpec,
    EnvSettings,
    EvaluationSpec,
    FilterSpec,
    HardwareSpec,
    MetricsSpec,
    ModelSpec,
    PoolSpec,
    Role,
    RolloutSpec,
    SamplingSpec,
    Section,
)

__all__ = [
    "BufferSpec",
    "EnvSettings",
    "EvaluationSpec",
    "FilterSpec",
    "HardwareSpec",
    "LearnerSpec",
    "MetricsSpec",
    "ModelSpec",
    "PoolSpec",
    "Role",
    "RolloutSpec",
    "RunSpec",
    "SamplingSpec",
    "ScribeSpec",
    "Section",
    "WarmUpSpec",
    "WeightsSpec",
]

Pool = TypeVar("Pool")


def _games_module() -> Any:
    """Who knows the games: a module above this layer, imported by its name when a spec is read."""
    return importlib.import_module("envs.contract.spec")


def _games(given: object) -> object:
    return _games_module().read(given)


class RunSpec(Section):
    """A self-play run."""

    name: str = Field("laptop", pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$", max_length=100)
    """The run's folder under `runs/`."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the plan, the sampling and the learner."""
    steps: int = Field(8, ge=1)
    """Learner steps."""
    backend: Literal["cpu", "cuda"] = "cpu"
    """The hardware."""
    envs: Annotated[tuple[SerializeAsAny[EnvSettings], ...], BeforeValidator(_games)] = Field((), validate_default=True)
    """The games, each with its own settings: `[{id: verdict, weight: 2, data: {...}}, ...]`, or only their names."""
    runs: PathTo = Path("runs")
    """Where runs are kept."""
    model: ModelSpec = ModelSpec()
    """The policy."""
    pools: tuple[PoolSpec, ...] = (PoolSpec(),)
    """Engine pools."""
    sampling: SamplingSpec = SamplingSpec()
    """How completions are sampled."""
    rollout: RolloutSpec = RolloutSpec()
    """The role actors."""
    scribe: ScribeSpec = ScribeSpec()
    """Training the Scribe, off by default."""
    buffer: BufferSpec = BufferSpec()
    """The replay buffer."""
    filters: FilterSpec = FilterSpec()
    """Online filters."""
    learner: LearnerSpec = LearnerSpec()
    """REINFORCE++ on DeepSpeed."""
    warm_up: WarmUpSpec = WarmUpSpec()
    """Supervised phase before self-play."""
    weights: WeightsSpec = WeightsSpec()
    """The weight-sync channel."""
    evaluation: EvaluationSpec = EvaluationSpec()
    """Held-out tasks during training."""
    metrics: MetricsSpec = MetricsSpec()
    """The job's Prometheus endpoint."""
    hardware: HardwareSpec = HardwareSpec()
    """The machines, for plans and manifests."""

    @model_validator(mode="before")
    @classmethod
    def _no_settings_outside_games(cls, content: Any) -> Any:
        if isinstance(content, dict):
            _games_module().refuse_moved(content)
        return content

    @model_validator(mode="after")
    def _parts_fit(self) -> RunSpec:
        for role in ("scribe", "doctor"):
            serving = [pool.name for pool in self.pools if role in pool.serves]
            if len(serving) != 1:
                raise ValueError(f"pools: exactly one pool must serve the {role}, found {serving or 'none'}")
        self._verifier_fits()
        self._trained_scribe_fits()
        if len({pool.name for pool in self.pools}) < len(self.pools):
            raise ValueError("pools: two pools have the same name; give each its own")
        if self.learner.algorithm == "reinforce_pp_baseline" and self.sampling.group_size < 2:
            raise ValueError(
                "sampling.group_size 1 has no group mean: use 2 or more, or learner.algorithm: reinforce_pp"
            )
        self._engines_take_the_adapter()
        if self.evaluation.every and (without := [env.id for env in self.envs if not env.has_heldout]):
            raise ValueError(
                f"evaluation.every needs held-out tasks, and {', '.join(without)} keeps none back: set its "
                "heldout above 0, or evaluation.every to 0"
            )
        return self._cannot_deadlock()

    @property
    def transport(self) -> str:
        """How weights reach the engines: `weights.transport`, by default the hardware's."""
        return self.weights.transport or BACKENDS[self.backend].transport

    @property
    def settled(self) -> RunSpec:
        """With what its games make of the number of steps written out."""
        return self.settled_for(self.steps)

    def settled_for(self, steps: int) -> RunSpec:
        """As `settled`, for the number of steps that the run began with."""
        return self.model_copy(update={"envs": tuple(env.settled(steps) for env in self.envs)})

    def concrete(self, dtype: str = "") -> RunSpec:
        """With a `model.dtype: auto` decided: the given one, by default what this machine computes in."""
        if self.model.dtype != "auto":
            return self
        decided = dtype or best_dtype(self.backend).name
        return self.model_copy(update={"model": self.model.model_copy(update={"dtype": decided})})

    def by_role(self, pools: Mapping[str, Pool]) -> dict[str, Pool]:
        """What is given for each pool, by the role that it serves."""
        return {role: pools[pool.name] for pool in self.pools for role in pool.serves}

    @property
    def of_scribe(self) -> RunSpec:
        """The run as the Scribe's learner sees it: every try is a group of one, at the Scribe's own temperature."""
        sampling = self.sampling.model_copy(update={"group_size": 1, "temperature": SCRIBE_TEMPERATURE})
        kl_coef = self.learner.kl_coef or SCRIBE_KL
        learner = self.learner.model_copy(update={"algorithm": "reinforce_pp", "kl_coef": kl_coef})
        return self.model_copy(update={"sampling": sampling, "learner": learner, "scribe": ScribeSpec()})

    def _engines_take_the_adapter(self) -> None:
        rank = self.learner.lora_rank
        if self.weights.transport != "adapter" or rank in LORA_RANKS:
            return
        if rank == 0:
            raise ValueError("weights.transport adapter needs learner.lora_rank above 0: use shm or broadcast")
        known = ", ".join(map(str, LORA_RANKS))
        raise ValueError(
            f"learner.lora_rank {rank}: vLLM serves adapters of rank {known} only; write one of them, or "
            "weights.transport: shm or broadcast"
        )

    def _verifier_fits(self) -> None:
        verifiers = [pool for pool in self.pools if pool.frozen]
        mixed = next((pool for pool in verifiers if len(pool.serves) > 1), None)
        if mixed is not None:
            raise ValueError(
                f"pools: {mixed.name} serves {', '.join(mixed.serves)}, but the verifier must stay frozen: give it a "
                "separate pool, serves: [verifier]"
            )
        named = next((pool for pool in self.pools if pool.model is not None and not pool.frozen), None)
        if named is not None:
            raise ValueError(
                f"pools: {named.name} serves {', '.join(named.serves)}, which is the model that is trained: leave its "
                "model out; only a pool with serves: [verifier] has one of its own"
            )
        asking, names = [env.id for env in self.envs if env.needs_verifier], [pool.name for pool in verifiers]
        if len(asking) > 1:
            raise ValueError(f"envs: {' and '.join(asking)} need a verifier; only one game of a run may")
        if asking and len(verifiers) != 1:
            raise ValueError(f"pools: {asking[0]} needs 1 pool with serves: [verifier], found {names or 'none'}")
        if verifiers and not asking:
            raise ValueError(f"pools: no game of this run asks a verifier, but {names} serve it: leave them out")

    def _trained_scribe_fits(self) -> None:
        if not self.scribe.train:
            return
        if all(env.unpaid for env in self.envs):
            raise ValueError(f"scribe.train: {'; '.join(f'{env.id}: {env.unpaid}' for env in self.envs)}")
        if self.sampling.group_size < 2:
            raise ValueError(
                "scribe.train pays for errors that some replies of a group find and others miss: set "
                "sampling.group_size to 2 or more"
            )
        if self.learner.lora_rank == 0 or self.learner.zero_stage == 3:
            raise ValueError(
                f"scribe.train keeps two adapters on one model, but learner.lora_rank is {self.learner.lora_rank} and "
                f"learner.zero_stage {self.learner.zero_stage}: set lora_rank above 0 and zero_stage to 2 or less"
            )
        shared = next((pool for pool in self.pools if {"scribe", "doctor"} <= set(pool.serves)), None)
        if shared is not None:
            raise ValueError(
                f"pools: {shared.name} serves scribe and doctor, but a trained Scribe has its own weights: write "
                "serves: [doctor] there and add a pool with serves: [scribe]"
            )

    def _cannot_deadlock(self) -> RunSpec:
        if self.buffer.capacity < self.learner.batch_groups:
            raise ValueError(
                "this run would never make a step: buffer.capacity >= learner.batch_groups must hold, but "
                f"{self.buffer.capacity} < {self.learner.batch_groups}; set buffer.capacity to at least "
                f"{(self.buffer.max_lag + 2) * self.learner.batch_groups}"
            )
        if self.sampling.max_tokens >= self.model.context:
            raise ValueError(
                f"sampling.max_tokens {self.sampling.max_tokens} leaves no room for the prompt in "
                f"model.context {self.model.context}: lower max_tokens or raise model.context"
            )
        if self.filters.min_tokens > self.sampling.max_tokens:
            raise ValueError(
                f"this run would never make a step: filters.min_tokens {self.filters.min_tokens} > sampling.max_tokens "
                f"{self.sampling.max_tokens} rejects every group; lower min_tokens or raise max_tokens"
            )
        band, replies = self.filters.difficulty, self.sampling.group_size
        if band is not None and not any(band[0] <= solved / replies <= band[1] for solved in range(replies + 1)):
            raise ValueError(
                f"this run would never make a step: filters.difficulty keeps groups with {band[0]:g} <= k/{replies} <= "
                f"{band[1]:g}, and no number k of solved replies of sampling.group_size {replies} is between; widen "
                "difficulty or raise group_size"
            )
        return self

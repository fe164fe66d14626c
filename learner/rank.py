"""LearnerRank: one data-parallel process of the learner. DeepSpeed on every target; deploy wraps it as a Ray actor.

A step over the groups of all ranks:

    rows: as many episodes each as its memory was planned for, what their prompts begin with once
    reference log-probs (k1 is part of the reward), if there is a KL coefficient -> advantages, moments over all ranks
    for each row: forward -> importance weights -> loss -> backward
    clip, AdamW, one more version; a step with a loss or a gradient that is not finite is skipped, and says so

The loss is a mean over the sampled tokens of the whole step, or over its episodes (`learner.weighting`). DeepSpeed
averages gradients over ranks and would divide by the accumulation steps; so each row's summed loss is multiplied by
ranks / sum of the shares of all tokens of all ranks, and that division is off.

Methods that say "collective" must be called on all ranks at the same time, or they wait for the others.

Shapes: N sampled tokens of a row, or of all groups of this rank where the name says `all`.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import SafetensorError
from torch import Tensor

from common.backends import BACKENDS
from common.config import RunSpec
from common.errors import last_line
from common.finite import group_fault, number_fault
from common.records import Group, Sampled
from learner import export, reinforce_pp
from learner.batch import SharedRow, TokenLayout, pack_completions
from learner.deepspeed_engine import deepspeed_engine, deepspeed_stage, gathered, join, take_step
from learner.finite_weights import weight_fault
from learner.peers import Peers
from learner.policy import (
    SCRIBE,
    Policy,
    activate,
    adapter_weights,
    completion_logps,
    load_policy,
    merged_weights,
    reference,
    sequence_logps,
)
from learner.rank_rows import Terms, group_calls, head_calls, packed_rows
from learner.rank_state import restore_random_state, save_random_state, saved_ranks, tensors_only
from learner.reinforce_pp import Signal
from learner.shares import Share, merge_shares, share_of
from learner.step_report import Clock, StepReport


@dataclass(frozen=True)
class _Accumulated:
    """What `apply` needs of `accumulate`."""

    share: Share
    clock: Clock
    strength: float  # of the batch's signal
    fault: str  # a loss that is not finite, or ""


_TAG = "learner"  # DeepSpeed's folder below a checkpoint; the Scribe's is called after its adapter


class LearnerRank:
    """The policy with its optimiser. `version` counts the optimiser steps taken, over resumes too."""

    def __init__(
        self,
        spec: RunSpec,
        model_folder: Path,
        rank: int,
        world: int,
        rendezvous: str,
        beside: LearnerRank | None = None,
    ) -> None:
        """Join the ranks at `rendezvous` ("host:port", served by rank 0) and load the policy. Collective.

        With `beside` this is a trained Scribe's rank: it has an adapter and an optimiser of its own on the model that
        the Doctor's rank loaded. Between `accumulate` and `apply` of the one the other may score and send, not train.
        The backend's `learner_env` must be in the environment before this process imports deepspeed.
        """
        self._spec, self._model_folder, self._rank, self._world = spec, model_folder, rank, world
        self._backend = BACKENDS[spec.backend]
        self._peers = Peers(rank, world, self._backend.device)
        join(self._backend.process_group, rank, world, rendezvous)
        torch.manual_seed(spec.seed)
        self._beside = beside
        self._tag = _TAG if beside is None else SCRIBE
        dtype, another = getattr(torch, spec.model.concrete_dtype), SCRIBE if spec.scribe.train else None
        self._policy: Policy = (
            load_policy(model_folder, spec.learner, self._backend.device, spec.seed, dtype, another)
            if beside is None
            else replace(beside._policy, adapter=SCRIBE)
        )
        activate(self._policy)
        self._gather = gathered(spec.learner.zero_stage)
        self._engine = deepspeed_engine(self._policy.module, spec)
        self._accumulated: _Accumulated | None = None
        self._updates = 0  # steps that were not skipped: the learning rate's warm-up counts them
        self.version = 0

    def step(self, groups: Sequence[Group]) -> StepReport:
        """`accumulate`, then `apply`. Collective."""
        self.accumulate(groups)
        return self.apply()

    def accumulate(self, groups: Sequence[Group]) -> None:
        """Add up the gradient of this rank's groups, as many on every rank; the weights stay. Collective.

        Raises ValueError, on every rank, when a log-prob or a reward of one of them is not finite.
        """
        assert groups, "a step needs at least one group a rank"
        assert len(set(self._peers.gather(len(groups)))) == 1, "every rank needs the same number of groups"
        self._peers.refuse(next(filter(None, map(group_fault, groups)), ""))
        activate(self._policy)
        clock = Clock()
        rows, tokens, tasks = packed_rows(groups, self._spec, self._peers.gather)
        calls = head_calls(rows, self._spec, self._peers.gather)
        with clock("reference"):
            logp_ref = [self._reference_logps(row, parts) for row, parts in zip(rows, calls, strict=True)]
        lengths = [row.tokens for row in rows]
        signal = self._signal(tokens, logp_ref)
        parts_of = (torch.split(values, lengths) for values in (signal.advantage_N, tokens.share_N))
        terms = [Terms(*each) for each in zip(*parts_of, logp_ref, tasks, strict=True)]
        weight = tokens.share_N.double().sum()
        scale = self._world / float(self._peers.sum(weight))
        statistics = share_of(groups, self.version, float(weight))
        self._engine.train()
        faults = list[str]()
        for index, row in enumerate(rows):
            self._engine.set_gradient_accumulation_boundary(index == len(rows) - 1)
            faults.append(self._train_on(row, calls[index], terms[index], scale, statistics, clock))
        self._accumulated = _Accumulated(statistics, clock, signal.strength, next(filter(None, faults), ""))

    def apply(self) -> StepReport:
        """Step along the accumulated gradient; the report covers all ranks. Collective.

        A step whose loss or gradient is not finite changes no weight; its report says why. Raises ValueError, on every
        rank, when a weight is not finite after the step.
        """
        assert self._accumulated is not None, "accumulate first"
        done, self._accumulated = self._accumulated, None
        activate(self._policy)
        fault = self._peers.first(done.fault)
        rate = 0.0 if fault else self._rate(done.strength)
        with done.clock("optimizer"):
            grad_norm, broken = take_step(self._engine, self._policy.module, deepspeed_stage(self._spec), rate)
        skipped = self._peers.first(fault or (f"{self._peers.name}: {broken}" if broken else ""))
        self._updates += not skipped
        self._peers.refuse(weight_fault(self._policy.module))
        self.version += 1
        return merge_shares(
            self._peers.gather(done.share),
            step=self.version,
            learning_rate=0.0 if skipped else rate,
            grad_norm=grad_norm,
            seconds=done.clock.seconds(),
            skipped=skipped,
        )

    def _rate(self, strength: float) -> float:
        """The learning rate of the next step. A KL that is a term of the loss moves the policy by itself."""
        learner = self._spec.learner
        if learner.kl_coef and learner.kl_estimator != "k1":
            strength = 1.0
        return learner.learning_rate * warm_up_factor(self._updates + 1, learner.warmup_steps) * strength

    def canary(self, ids: Sequence[int]) -> tuple[float, ...]:
        """Log-probs of `ids[1:]`, each given the tokens before it, nats, at temperature 1. Collective under ZeRO-3.

        Raises ValueError when one is not finite: no engine could be compared with such a policy.
        """
        self._evaluating()
        logps = tuple(sequence_logps(self._policy.module, ids))
        if fault := number_fault({f"the log-prob of canary token {at}": logp for at, logp in enumerate(logps, 1)}):
            raise ValueError(f"{self._peers.name}, policy_version {self.version}: {fault}: its weights are broken")
        return logps

    def logp_difference(self, samples: Sequence[Sampled]) -> float:
        """Mean |learner - engine| over the tokens of completions that this very version sampled, nats. Collective."""
        self._evaluating()
        return float(torch.cat([self._differences(sampled) for sampled in samples]).mean())

    def published_weights(self) -> Iterator[tuple[str, Tensor]]:
        """(checkpoint name, whole merged tensor) in `model.dtype`, one after another. Collective under ZeRO-3."""
        return merged_weights(self._policy, getattr(torch, self._spec.model.concrete_dtype), self._gather)

    def adapter_weights(self) -> dict[str, Tensor]:
        """The LoRA tensors under peft's names, empty for full training. Collective under ZeRO-3."""
        return adapter_weights(self._policy, self._gather) if self._spec.learner.lora_rank else {}

    def save(self, folder: Path) -> None:
        """Write what a resume needs: trained weights, optimiser, random state, version. Collective.

        The frozen base is not in it: it is reloaded from the model folder. Nor is another adapter. Raises OSError, on
        every rank, when one of them could not write, and ValueError when a weight is not finite.
        """
        activate(self._policy)
        self._peers.refuse(weight_fault(self._policy.module))
        fault = ""
        try:
            self._engine.save_checkpoint(
                str(folder),
                tag=self._tag,
                client_state={"version": self.version, "updates": self._updates},
                save_latest=False,
                exclude_frozen_parameters=self._spec.learner.lora_rank > 0,
            )
            save_random_state(folder / self._tag, self._rank)
        except (OSError, RuntimeError, SafetensorError) as error:  # torch's and safetensors' own of a full disk
            fault = f"{folder}: {last_line(error)}"
        if faults := [line for line in self._peers.gather(fault) if line]:
            raise OSError(errno.EIO, faults[0])

    def load(self, folder: Path) -> None:
        """Continue bit for bit from what `save` wrote. Collective.

        Raises ValueError when the checkpoint is of another number of ranks, lacks its files, or holds a weight that is
        not finite, and UnpicklingError when
        a file holds anything but tensors and plain settings: nothing in it is run.
        """
        ranks = saved_ranks(folder / self._tag)
        if ranks != self._world:
            raise ValueError(
                f"{folder} was saved by {ranks} learner ranks: set learner.ranks to that, not {self._world}"
            )
        with tensors_only():
            path, state = self._engine.load_checkpoint(
                str(folder), tag=self._tag, load_module_strict=self._spec.learner.lora_rank == 0
            )
        if path is None:
            raise ValueError(f"{folder} holds no learner checkpoint: delete it to resume from the one before")
        activate(self._policy)
        self._peers.refuse(weight_fault(self._policy.module), f"{folder} cannot be resumed from, delete it: ")
        self.version = int(state["version"])
        self._updates = int(state.get("updates", self.version))
        restore_random_state(folder / self._tag, self._rank)

    def save_model(self, folder: Path) -> None:
        """Write the merged policy as a Hugging Face folder, and the adapter alone in `adapter/`. Collective."""
        weights = export.all_weights(self._policy, self.published_weights(), self._gather)
        adapter = self.adapter_weights()
        if self._rank == 0:
            export.save_merged(self._policy, weights, self._model_folder, folder)
            if adapter:
                export.save_adapter(self._policy, adapter, folder / "adapter")
        dist.barrier()

    def close(self) -> None:
        """Leave the process group, unless another rank of this process is still in it. Call nothing afterwards."""
        self._engine.destroy()
        if self._beside is None:
            dist.destroy_process_group()

    def _evaluating(self) -> None:
        activate(self._policy)
        self._engine.eval()

    def _differences(self, sampled: Sampled) -> Tensor:
        """|learner - engine| of each token [N]."""
        packed = pack_completions(sampled.prompt_ids, sampled.completions, "fresh rollouts").to(self._backend.device)
        assert bool((packed.version_N == self.version).all()), (self.version, set(packed.version_N.tolist()))
        with torch.no_grad():
            logp_N = completion_logps(self._policy.module, packed, *self._scoring(group_calls(self._spec)))
        return (logp_N - packed.logp_engine_N).abs()

    def _scoring(self, calls: int) -> tuple[float, int, int]:
        """What `completion_logps` takes after module and row."""
        return self._spec.sampling.temperature, self._spec.learner.logp_chunk, calls

    def _reference_logps(self, row: SharedRow, calls: int) -> Tensor | None:
        """Log-probs [N] of the model before self-play, None when the KL is off."""
        if self._spec.learner.kl_coef == 0:
            return None
        self._engine.eval()
        with torch.no_grad(), reference(self._policy) as module:
            return completion_logps(module, row, *self._scoring(calls))

    def _signal(self, tokens: TokenLayout, logp_ref: Sequence[Tensor | None]) -> Signal:
        """Advantages [N all]; their moments run over all tokens of all ranks."""
        learner = self._spec.learner
        penalty_all = None
        if learner.kl_coef and learner.kl_estimator == "k1":
            logp_ref_all = torch.cat([logp for logp in logp_ref if logp is not None])
            penalty_all = learner.kl_coef * reinforce_pp.kl_estimate(tokens.logp_engine_N, logp_ref_all, "k1")
        return reinforce_pp.signal(
            tokens,
            baseline=learner.algorithm == "reinforce_pp_baseline",
            penalty_N=penalty_all,
            all_reduce=self._peers.sum,
        )

    def _train_on(self, row: SharedRow, calls: int, terms: Terms, scale: float, statistics: Share, clock: Clock) -> str:
        """Add the row's gradient, times `scale`, and its statistics; which of its numbers is not finite, or ""."""
        learner, logp_ref_N = self._spec.learner, terms.logp_ref_N
        with clock("forward"):
            logp_N = self._engine(row, *self._scoring(calls))
            logp_old_N = logp_N.detach()
            penalty_N = None
            if logp_ref_N is not None and learner.kl_estimator != "k1":
                penalty_N = learner.kl_coef * reinforce_pp.kl_estimate(logp_N, logp_ref_N, learner.kl_estimator)
            weight_N = reinforce_pp.importance_weights(logp_old_N, row.logp_engine_N, learner.importance_clip)
            loss = reinforce_pp.policy_loss(
                logp_N, terms.advantage_N, weight_N, penalty_N=penalty_N, share_N=terms.share_N
            )
        with clock("backward"):
            self._engine.backward(loss * scale, scale_wrt_gas=False)
        total = float(loss.detach())
        statistics.add(row, terms, logp_old_N, total, learner.importance_clip)
        fault = number_fault({"the loss": total})
        return f"{self._peers.name}, tasks {terms.tasks}: {fault}" if fault else ""


def warm_up_factor(step: int, warmup_steps: int) -> float:
    """Share of the peak learning rate at `step` (from 1): `warmup_steps` steps below the peak, then 1."""
    return min(1.0, step / (warmup_steps + 1))

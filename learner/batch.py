"""Rollout groups as packed tensors: the shared prompt once, then every completion of it, in one row.

Packing trains the prompt once a group instead of n times. It changes no log-prob: a completion sees the prompt and
itself only (`learner/attention.py`), and its positions restart right after the prompt.

Shapes: S packed positions (prompt and all completions), N completion tokens, n completions of a group, C completions of
a whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from common.records import Completion, Group


@dataclass(frozen=True)
class PackedGroup:
    """One group as one row. Completion tokens (the N axis) stand in completion order, then token order."""

    ids_S: Tensor  # int64
    positions_S: Tensor  # int64; each completion continues at the prompt's length
    source_N: Tensor  # int64; where in S the hidden state stands that predicts the token
    target_N: Tensor  # int64; token ids
    logp_engine_N: Tensor  # float32; natural log, under the temperature-scaled distribution that was sampled
    completion_N: Tensor  # int64; 0 .. n - 1
    last_N: Tensor  # bool; the last token of its completion
    version_N: Tensor  # int64; policy version that produced the token
    rewards_n: Tensor  # float32; total reward of each completion

    @property
    def tokens(self) -> int:
        """N, the completion tokens."""
        return self.target_N.numel()

    @property
    def completions(self) -> int:
        """n, the completions."""
        return self.rewards_n.numel()

    @property
    def oldest_version(self) -> int:
        """The oldest policy version that produced one of the tokens."""
        return int(self.version_N.min())

    def to(self, device: torch.device | str) -> PackedGroup:
        """The same group on `device`."""
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})


@dataclass(frozen=True)
class TokenLayout:
    """Which completion and group each token of a batch belongs to, over all groups of one rank, in packing order."""

    completion_N: Tensor  # int64; 0 .. C - 1
    last_N: Tensor  # bool
    group_C: Tensor  # int64; 0 .. groups - 1
    rewards_C: Tensor  # float32
    logp_engine_N: Tensor  # float32


def pack(group: Group) -> PackedGroup:
    """Pack a group on the CPU. Raises ValueError when the prompt or a completion holds no token."""
    completions = [rollout.completion for rollout in group.rollouts]
    rewards = [rollout.reward.total for rollout in group.rollouts]
    return pack_completions(group.prompt_ids, completions, rewards, f"task {group.task_id}")


def pack_completions(
    prompt_ids: Sequence[int], completions: Sequence[Completion], rewards: Sequence[float], name: str
) -> PackedGroup:
    """Pack completions of one prompt on the CPU; ValueErrors begin with `name`."""
    if not prompt_ids:
        raise ValueError(f"{name}: the prompt has no tokens")
    for i, completion in enumerate(completions):
        lengths = {len(completion.token_ids), len(completion.logps), len(completion.versions)}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(
                f"{name}, completion {i}: token_ids, logps and versions need one equal length "
                f"above 0, got {len(completion.token_ids)}, {len(completion.logps)}, {len(completion.versions)}"
            )
    prompt = len(prompt_ids)
    length_n = torch.tensor([len(c.token_ids) for c in completions])
    completion_N = torch.repeat_interleave(torch.arange(len(completions)), length_n)
    first_n = length_n.cumsum(0) - length_n
    offset_N = torch.arange(int(length_n.sum())) - first_n[completion_N]
    target_N = torch.tensor([token for c in completions for token in c.token_ids])
    before_N = prompt - 1 + torch.arange(target_N.numel())
    return PackedGroup(
        ids_S=torch.cat([torch.tensor(prompt_ids), target_N]),
        positions_S=torch.cat([torch.arange(prompt), prompt + offset_N]),
        source_N=torch.where(offset_N == 0, prompt - 1, before_N),
        target_N=target_N,
        logp_engine_N=torch.tensor([logp for c in completions for logp in c.logps], dtype=torch.float32),
        completion_N=completion_N,
        last_N=offset_N == length_n[completion_N] - 1,
        version_N=torch.tensor([version for c in completions for version in c.versions]),
        rewards_n=torch.tensor(rewards, dtype=torch.float32),
    )


def layout(groups: Sequence[PackedGroup]) -> TokenLayout:
    """The layout of several packed groups one after another. `groups` must not be empty."""
    assert groups
    counts = torch.tensor([group.completions for group in groups])
    starts = (counts.cumsum(0) - counts).tolist()
    return TokenLayout(
        completion_N=torch.cat([g.completion_N + start for g, start in zip(groups, starts, strict=True)]),
        last_N=torch.cat([g.last_N for g in groups]),
        group_C=torch.repeat_interleave(torch.arange(len(groups)), counts).to(groups[0].ids_S.device),
        rewards_C=torch.cat([g.rewards_n for g in groups]),
        logp_engine_N=torch.cat([g.logp_engine_N for g in groups]),
    )

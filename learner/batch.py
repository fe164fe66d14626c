"""Packed rows: a shared prompt once, then every branch that goes on from it; rollout groups as such rows.

Packing trains the prompt once a row instead of n times. It changes no log-prob: a branch sees the prompt and itself
only (`learner/attention.py`), and its positions restart right after the prompt. A group's branches are its completions.

Shapes: S packed positions (prompt and all branches), M tokens of the branches, N those of them that are predicted (of a
group all: its completion tokens), n branches of a row, C completions of a whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Self

import numpy as np
import torch
from torch import Tensor

from common.record import Ids
from common.records import Completion, Group


@dataclass(frozen=True)
class Fork:
    """Branches of one prompt. Of the prompt a row holds here what comes after the tokens that all its forks share."""

    own: int  # tokens of the prompt that follow the shared ones
    length_n: Tensor  # int64; tokens of each branch


@dataclass(frozen=True)
class Row:
    """A prompt and its branches, one after another, and the tokens whose log-probs are wanted, in that order."""

    ids_S: Tensor  # int64
    positions_S: Tensor  # int64; each branch continues at the prompt's length
    length_n: Tensor  # int64; tokens of each branch
    source_N: Tensor  # int64; where in S the hidden state stands that predicts the token
    target_N: Tensor  # int64; token ids

    @property
    def tokens(self) -> int:
        """N, the tokens that are predicted."""
        return self.target_N.numel()

    @property
    def prompt_S(self) -> Tensor:
        """The ids before the first branch."""
        return self.ids_S[: self.ids_S.numel() - int(self.length_n.sum())]

    @property
    def forks(self) -> tuple[Fork, ...]:
        """Where the branches begin: here, all of them at the end of the prompt."""
        return (Fork(own=0, length_n=self.length_n),)

    def to(self, device: torch.device | str) -> Self:
        """The same row on `device`."""
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})


@dataclass(frozen=True)
class PackedGroup(Row):
    """One group as one row. Completion tokens (the N axis) stand in completion order, then token order."""

    logp_engine_N: Tensor  # float32; natural log, under the temperature-scaled distribution that was sampled
    completion_N: Tensor  # int64; 0 .. n - 1
    last_N: Tensor  # bool; the last token of its completion
    version_N: Tensor  # int64; policy version that produced the token
    rewards_n: Tensor  # float32; total reward of each completion

    @property
    def completions(self) -> int:
        """n, the completions."""
        return self.rewards_n.numel()

    @property
    def oldest_version(self) -> int:
        """The oldest policy version that produced one of the tokens."""
        return int(self.version_N.min())


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
    completions = [rollout.steps[0].completion for rollout in group.rollouts]
    rewards = [rollout.reward.total for rollout in group.rollouts]
    return pack_completions(group.prompt_ids, completions, rewards, f"task {group.task_id}")


def pack_completions(
    prompt_ids: Sequence[int] | Ids, completions: Sequence[Completion], rewards: Sequence[float], name: str
) -> PackedGroup:
    """Pack completions of one prompt on the CPU; ValueErrors begin with `name`."""
    if not len(prompt_ids):
        raise ValueError(f"{name}: the prompt has no tokens")
    for i, completion in enumerate(completions):
        lengths = {len(completion.token_ids), len(completion.logps), len(completion.versions)}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(
                f"{name}, completion {i}: token_ids, logps and versions need one equal length "
                f"above 0, got {len(completion.token_ids)}, {len(completion.logps)}, {len(completion.versions)}"
            )
    row = pack_row(prompt_ids, [c.token_ids for c in completions])
    completion_N = torch.repeat_interleave(torch.arange(len(completions)), row.length_n)
    return PackedGroup(
        **vars(row),
        logp_engine_N=torch.from_numpy(np.concatenate([c.logps for c in completions])),
        completion_N=completion_N,
        last_N=row.positions_S[len(prompt_ids) :] + 1 == len(prompt_ids) + row.length_n[completion_N],
        version_N=torch.from_numpy(np.concatenate([c.versions for c in completions]).astype(np.int64)),
        rewards_n=torch.tensor(rewards, dtype=torch.float32),
    )


def pack_row(
    prompt_ids: Sequence[int] | Ids, branches: Sequence[Sequence[int] | Ids], predicted_M: Tensor | None = None
) -> Row:
    """Pack branches, none empty, on the CPU. `predicted_M` (bool) says whose log-probs are wanted; None: all of them.

    The first token of a branch cannot be predicted without a prompt.
    """
    prompt = len(prompt_ids)
    length_n = torch.tensor([len(branch) for branch in branches])
    branch_M = torch.repeat_interleave(torch.arange(len(branches)), length_n)
    offset_M = torch.arange(branch_M.numel()) - (length_n.cumsum(0) - length_n)[branch_M]
    ids_M = torch.tensor([token for branch in branches for token in branch])
    source_M = prompt - 1 + torch.where(offset_M == 0, 0, torch.arange(branch_M.numel()))
    predicted_M = torch.ones_like(ids_M, dtype=torch.bool) if predicted_M is None else predicted_M
    return Row(
        ids_S=torch.cat([torch.tensor(prompt_ids, dtype=torch.long), ids_M]),
        positions_S=torch.cat([torch.arange(prompt), prompt + offset_M]),
        length_n=length_n,
        source_N=source_M[predicted_M],
        target_N=ids_M[predicted_M],
    )


@dataclass(frozen=True)
class SharedRow(Row):
    """Several groups as one row: what all their prompts begin with once, then group after group."""

    logp_engine_N: Tensor  # float32; of the groups one after another, as is all of the N axis
    own_g: Tensor  # int64; tokens of each group's prompt after the shared ones
    completions_g: Tensor  # int64

    @property
    def groups(self) -> int:
        """How many."""
        return self.own_g.numel()

    @property
    def forks(self) -> tuple[Fork, ...]:
        """One for each group."""
        lengths = torch.split(self.length_n, self.completions_g.tolist())
        return tuple(Fork(own, length_n) for own, length_n in zip(self.own_g.tolist(), lengths, strict=True))


def shared_row(groups: Sequence[PackedGroup]) -> SharedRow:
    """Groups, on one device, as one row. Log-probs are those of the groups as rows of their own."""
    shared = _shared(groups)
    ids, positions, sources, at = [groups[0].ids_S[:shared]], [groups[0].positions_S[:shared]], [], shared
    for group in groups:
        ids.append(group.ids_S[shared:])
        positions.append(group.positions_S[shared:])
        sources.append(torch.where(group.source_N < shared, group.source_N, group.source_N - shared + at))
        at += group.ids_S.numel() - shared
    device = groups[0].ids_S.device
    return SharedRow(
        ids_S=torch.cat(ids),
        positions_S=torch.cat(positions),
        length_n=torch.cat([group.length_n for group in groups]),
        source_N=torch.cat(sources),
        target_N=torch.cat([group.target_N for group in groups]),
        logp_engine_N=torch.cat([group.logp_engine_N for group in groups]),
        own_g=torch.tensor([group.prompt_S.numel() - shared for group in groups], device=device),
        completions_g=torch.tensor([group.completions for group in groups], device=device),
    )


def rows_needed(groups: Sequence[PackedGroup], most: int) -> int:
    """The smallest number of even rows of at most `most` positions each; a group that is longer has its own."""
    for rows in range(1, len(groups)):
        if all(_shared_length(part) <= most for part in split(groups, rows)):
            return rows
    return len(groups)


def split(groups: Sequence[PackedGroup], rows: int) -> list[Sequence[PackedGroup]]:
    """The groups, in order, in so many parts whose numbers of groups differ by one at most."""
    bounds = [len(groups) * row // rows for row in range(rows + 1)]
    return [groups[low:high] for low, high in pairwise(bounds)]


def _shared_length(groups: Sequence[PackedGroup]) -> int:
    """Positions of the row that `shared_row` would make."""
    return sum(group.ids_S.numel() for group in groups) - (len(groups) - 1) * _shared(groups)


def _shared(groups: Sequence[PackedGroup]) -> int:
    return common_prefix([group.prompt_S.tolist() for group in groups])


def common_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with alike."""
    columns = enumerate(zip(*prompts, strict=False))
    return next((at for at, tokens in columns if len(set(tokens)) > 1), min(map(len, prompts)))


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

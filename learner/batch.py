"""Packed rows: a shared prompt once, then every branch that goes on from it; rollout groups as such rows.

Packing trains the prompt once a row instead of n times. It changes no log-prob: a branch sees the prompt and itself
only (`learner/attention.py`), and its positions restart right after the prompt. A group's branches are its episodes:
what was sampled and what was observed, in order. Positions run on through observations; only sampled tokens are
predicted, and only they are on the N axis, so that no reward, advantage or loss can touch an observation.

Shapes: S packed positions (prompt and all branches), M tokens of the branches, N those of them that are predicted (of a
group its sampled tokens), n branches of a row, E episodes of a whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.record import Ids
from common.records import Completion, Group, Step
from learner.rows import common_prefix

TokenIds = Sequence[int] | Ids


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
    """A group, or some of its episodes, as one row. Sampled tokens (the N axis): by episode, then turn, then token."""

    logp_engine_N: Tensor  # float32; natural log, under the temperature-scaled distribution that was sampled
    version_N: Tensor  # int64; policy version that produced the token
    episode_N: Tensor  # int64; 0 .. n - 1
    turn_N: Tensor  # int64; from 0 in every episode
    last_N: Tensor  # bool; the last sampled token of its episode
    potential_N: Tensor  # float32; of the state in which the token's turn began, 0 without shaping
    rewards_n: Tensor  # float32; total reward of each episode

    @property
    def episodes(self) -> int:
        """n, the episodes."""
        return self.rewards_n.numel()

    @property
    def oldest_version(self) -> int:
        """The oldest policy version that produced one of the tokens."""
        return int(self.version_N.min())


@dataclass(frozen=True)
class TokenLayout:
    """Which turn, episode and group each sampled token of a batch is of, over all rows of one rank, in their order."""

    episode_N: Tensor  # int64; 0 .. E - 1
    turn_N: Tensor  # int64
    last_N: Tensor  # bool
    potential_N: Tensor  # float32
    share_N: Tensor  # float32; the token's weight in the loss and in the moments of the advantages
    logp_engine_N: Tensor  # float32
    group_E: Tensor  # int64; 0 .. groups - 1
    rewards_E: Tensor  # float32


def pack(group: Group, episodes: Sequence[int] | None = None) -> PackedGroup:
    """Pack a group, or these of its episodes, on the CPU.

    Raises ValueError when the prompt or a turn holds no token, or potentials are not one a turn.
    """
    chosen = range(len(group.rollouts)) if episodes is None else episodes
    name, rollouts = f"task {group.task_id}", [group.rollouts[at] for at in chosen]
    for at, rollout in zip(chosen, rollouts, strict=True):
        _check(rollout.steps, rollout.reward.potentials, f"{name}, episode {at}")
    return _pack_episodes(
        group.prompt_ids,
        [rollout.steps for rollout in rollouts],
        [rollout.reward.total for rollout in rollouts],
        [rollout.reward.potentials or (0.0,) * len(rollout.steps) for rollout in rollouts],
        name,
    )


def pack_completions(prompt_ids: TokenIds, completions: Sequence[Completion], name: str) -> PackedGroup:
    """Pack completions of one prompt, which nobody rewarded, on the CPU; ValueErrors begin with `name`."""
    return pack_episodes(prompt_ids, [(Step(completion=completion),) for completion in completions], name)


def pack_episodes(prompt_ids: TokenIds, episodes: Sequence[Sequence[Step]], name: str) -> PackedGroup:
    """Pack episodes that nobody rewarded on the CPU; ValueErrors begin with `name`."""
    for at, steps in enumerate(episodes):
        _check(steps, (), f"{name}, episode {at}")
    potentials = [(0.0,) * len(steps) for steps in episodes]
    return _pack_episodes(prompt_ids, episodes, [0.0] * len(episodes), potentials, name)


def _check(steps: Sequence[Step], potentials: Sequence[float], name: str) -> None:
    if not steps:
        raise ValueError(f"{name}: it has no turns")
    if len(potentials) not in (0, len(steps)):
        raise ValueError(f"{name}: {len(potentials)} potentials of {len(steps)} turns: the game must give one a turn")
    for turn, step in enumerate(steps):
        lengths = [
            len(values) for values in (step.completion.token_ids, step.completion.logps, step.completion.versions)
        ]
        if len(set(lengths)) != 1 or 0 in lengths:
            raise ValueError(
                f"{name}, turn {turn}: token_ids, logps and versions need one equal length above 0, got "
                f"{', '.join(map(str, lengths))}"
            )


def _pack_episodes(
    prompt_ids: TokenIds,
    episodes: Sequence[Sequence[Step]],
    rewards: Sequence[float],
    potentials: Sequence[Sequence[float]],
    name: str,
) -> PackedGroup:
    if not len(prompt_ids):
        raise ValueError(f"{name}: the prompt has no tokens")
    branches = [_branch(steps) for steps in episodes]
    sampled_M = torch.from_numpy(np.concatenate([sampled for _, sampled in branches]))
    row = pack_row(prompt_ids, [ids for ids, _ in branches], sampled_M)
    completions = [step.completion for steps in episodes for step in steps]
    lengths = torch.tensor([len(completion.token_ids) for completion in completions])  # of each turn
    turns = torch.tensor([turn for steps in episodes for turn in range(len(steps))])
    owners = torch.tensor([at for at, steps in enumerate(episodes) for _ in steps])
    episode_N = owners.repeat_interleave(lengths)
    return PackedGroup(
        **vars(row),
        logp_engine_N=_joined([c.logps for c in completions], np.float32),
        version_N=_joined([c.versions for c in completions], np.int64),
        episode_N=episode_N,
        turn_N=turns.repeat_interleave(lengths),
        last_N=torch.cat([episode_N[1:] != episode_N[:-1], torch.ones(1, dtype=torch.bool)]),
        potential_N=torch.tensor([value for values in potentials for value in values]).repeat_interleave(lengths),
        rewards_n=torch.tensor(rewards, dtype=torch.float32),
    )


def _branch(steps: Sequence[Step]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """An episode's ids, and which of them were sampled. What is observed after the last turn predicts nothing."""
    pieces = [piece for step in steps for piece in (step.completion.token_ids, step.observed)][:-1]
    sampled = np.repeat([at % 2 == 0 for at in range(len(pieces))], [len(piece) for piece in pieces])
    return np.concatenate(pieces), sampled


def _joined(arrays: Sequence[NDArray[np.generic]], dtype: type[np.generic]) -> Tensor:
    return torch.from_numpy(np.concatenate(arrays).astype(dtype))


def pack_row(prompt_ids: TokenIds, branches: Sequence[TokenIds], predicted_M: Tensor | None = None) -> Row:
    """Pack branches, none empty, on the CPU. `predicted_M` (bool) says whose log-probs are wanted; None: all of them.

    The first token of a branch cannot be predicted without a prompt.
    """
    prompt = len(prompt_ids)
    length_n = torch.tensor([len(branch) for branch in branches])
    branch_M = torch.repeat_interleave(torch.arange(len(branches)), length_n)
    offset_M = torch.arange(branch_M.numel()) - (length_n.cumsum(0) - length_n)[branch_M]
    ids_M = torch.from_numpy(np.concatenate([np.asarray(branch, np.int64) for branch in branches]))
    source_M = prompt - 1 + torch.where(offset_M == 0, 0, torch.arange(branch_M.numel()))
    predicted_M = torch.ones_like(ids_M, dtype=torch.bool) if predicted_M is None else predicted_M
    return Row(
        ids_S=torch.cat([torch.from_numpy(np.asarray(prompt_ids, np.int64)), ids_M]),
        positions_S=torch.cat([torch.arange(prompt), prompt + offset_M]),
        length_n=length_n,
        source_N=source_M[predicted_M],
        target_N=ids_M[predicted_M],
    )


@dataclass(frozen=True)
class SharedRow(Row):
    """Several groups as one row: what all their prompts begin with once, then group after group."""

    logp_engine_N: Tensor  # float32; of the groups one after another, as is all of the N axis
    turn_N: Tensor  # int64
    own_g: Tensor  # int64; tokens of each group's prompt after the shared ones
    episodes_g: Tensor  # int64

    @property
    def groups(self) -> int:
        """How many."""
        return self.own_g.numel()

    @property
    def forks(self) -> tuple[Fork, ...]:
        """One for each group."""
        lengths = torch.split(self.length_n, self.episodes_g.tolist())
        return tuple(Fork(own, length_n) for own, length_n in zip(self.own_g.tolist(), lengths, strict=True))


def shared_row(groups: Sequence[PackedGroup]) -> SharedRow:
    """Groups, on one device, as one row. Log-probs are those of the groups as rows of their own."""
    shared = common_prefix([group.prompt_S.tolist() for group in groups])
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
        turn_N=torch.cat([group.turn_N for group in groups]),
        own_g=torch.tensor([group.prompt_S.numel() - shared for group in groups], device=device),
        episodes_g=torch.tensor([group.episodes for group in groups], device=device),
    )


def layout(
    parts: Sequence[PackedGroup], groups: Sequence[int], weighting: Literal["token", "episode"] = "token"
) -> TokenLayout:
    """The layout of packed groups, or parts of them, one after another; `groups` numbers the group of each.

    `weighting`: every token counts alike, or every episode does. `parts` must not be empty.
    """
    assert parts
    counts = torch.tensor([part.episodes for part in parts])
    starts = (counts.cumsum(0) - counts).tolist()
    episode_N = torch.cat([part.episode_N + start for part, start in zip(parts, starts, strict=True)])
    share_N = torch.ones_like(episode_N, dtype=torch.float32)
    if weighting == "episode":
        share_N /= torch.bincount(episode_N)[episode_N]
    return TokenLayout(
        episode_N=episode_N,
        turn_N=torch.cat([part.turn_N for part in parts]),
        last_N=torch.cat([part.last_N for part in parts]),
        potential_N=torch.cat([part.potential_N for part in parts]),
        share_N=share_N,
        logp_engine_N=torch.cat([part.logp_engine_N for part in parts]),
        group_E=torch.repeat_interleave(torch.tensor(groups), counts).to(episode_N.device),
        rewards_E=torch.cat([part.rewards_n for part in parts]),
    )

"""Held-out accuracy of a policy on an environment: one sampled reply per task, as the engines sample.

Shapes: B tasks of one forward, P prompt tokens (padded on the left), T new tokens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common.chat import Bridge
from common.config import RunSpec
from common.records import EndReason, Episode, LabelledTask, Record
from envs.contract.by_rule import tasks_by_rule
from envs.contradiction.environment import Contradiction

BATCH = 128
RIGHT = {"found", "elsewhere", "clean"}  # the flag is right


class Outcome(Record):
    """One held-out task and how the policy fared on it."""

    part: str  # seen_pair or unseen_pair
    vignette: str  # twins share it
    right: bool
    reward: float


def tasks(env: Contradiction, count: int) -> list[LabelledTask]:
    """The first `count` held-out tasks."""
    return [labelled for _, labelled in asyncio.run(tasks_by_rule(env, env.heldout_plan, count))]


def evaluate(folder: Path, spec: RunSpec, env: Contradiction, labelled: Sequence[LabelledTask]) -> list[Outcome]:
    """One reply per task at the run's temperature, from the Hugging Face model in `folder`; seeded by `spec.seed`."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    torch.manual_seed(spec.seed)
    outcomes: list[Outcome] = []
    for at in range(0, len(labelled), BATCH):
        part = labelled[at : at + BATCH]
        replies_BT = _reply(model, tokenizer, spec, [_prompt(tokenizer, env, task) for task in part])
        outcomes += [_score(tokenizer, env, task, ids) for task, ids in zip(part, replies_BT.tolist(), strict=True)]
    return outcomes


def _prompt(tokenizer: Any, env: Contradiction, labelled: LabelledTask) -> list[int]:
    return list(Bridge(tokenizer).prompt(env.begin(labelled.task)[1].messages))


@torch.no_grad()
def _reply(model: Any, tokenizer: Any, spec: RunSpec, prompts: Sequence[list[int]]) -> Tensor:
    """New tokens [B, T], padded after the end token."""
    longest = max(map(len, prompts))
    ids_BP = torch.tensor([[tokenizer.pad_token_id] * (longest - len(ids)) + ids for ids in prompts])
    real_BP = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts])
    sampled_BS: Tensor = model.generate(
        input_ids=ids_BP,
        attention_mask=real_BP,
        do_sample=True,
        temperature=spec.sampling.temperature,
        top_k=0,
        top_p=1.0,
        max_new_tokens=spec.sampling.max_tokens,
    )
    return sampled_BS[:, longest:]


def _score(tokenizer: Any, env: Contradiction, labelled: LabelledTask, ids: list[int]) -> Outcome:
    ended = tokenizer.eos_token_id in ids
    text = tokenizer.decode(ids[: ids.index(tokenizer.eos_token_id)] if ended else ids)
    episode = Episode(
        task_id=labelled.task.task_id, actions=(text,), reason=EndReason.SUBMITTED if ended else EndReason.LENGTH
    )
    reward = env.score(episode, labelled.label)
    return Outcome(
        part=env.part_of(labelled.task),
        vignette=labelled.task.provenance.vignette,
        right=reward.reason in RIGHT,
        reward=reward.total,
    )

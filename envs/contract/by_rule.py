"""Tasks made without a model, for warm-up, evaluation and benches, where no engine completes for the Scribe."""

from __future__ import annotations

import random
from collections.abc import Callable

from common.records import LabelledTask, Message
from envs.contract.env import Environment, Slot, Written


async def tasks_by_rule(env: Environment, plan: Callable[[int], Slot], count: int) -> list[tuple[Slot, LabelledTask]]:
    """The first `count` tasks of `plan` that can be made, or fewer where the plan ends; equal on every call.

    Every request for a completion is answered as truncated, so rewordings fall back to rules.
    """
    made: list[tuple[Slot, LabelledTask]] = []
    for index in range(2 * count):
        slot = plan(index)
        proposal = await env.propose(slot, random.Random(slot.seed), _no_model)
        if isinstance(proposal, LabelledTask):
            made.append((slot, proposal))
        if len(made) == count:
            break
    return made


async def _no_model(messages: tuple[Message, ...], max_tokens: int) -> Written:
    return Written(text="", truncated=True, policy_version=0)

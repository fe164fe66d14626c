"""Scribe: claim a slot in the buffer, propose a labelled task through the environment, put it. A plain class; deploy
wraps it as an async Ray actor. It holds no torch and no vllm."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING

from actors.engine import PromptTooLong
from actors.engine_errors import RequestFailed
from actors.role import Role
from common.buffer_records import RejectReason
from common.metrics import PROPOSALS, REJECTED, TASKS
from common.records import LabelledTask, Message, Task
from common.sections import SCRIBE_TEMPERATURE
from envs.contract.env import Complete, Environment, Written

if TYPE_CHECKING:
    from actors.handles import BufferHandle, PoolHandle

LOG = logging.getLogger(__name__)

VERIFIER_TEMPERATURE = 1.0
"""The log-probs of its first token are read, which are those of the model itself at temperature 1."""
LIKELY = 20
"""First tokens of the verifier whose log-probs are read: as many as vLLM gives."""


class Scribe(Role[int]):
    """Its work is the index of a slot in the environment's plan. `verifier` is a frozen pool that passed its exam.

    With `train` its completions are kept as they were sampled, so that the Scribe can be trained on its tries.
    """

    def __init__(
        self,
        name: str,
        env: Environment,
        buffer: BufferHandle,
        pool: PoolHandle,
        concurrency: int,
        verifier: PoolHandle | None = None,
        train: bool = False,
    ) -> None:
        super().__init__(name, env, buffer, pool, concurrency)
        self._train = train
        self._verify = None if verifier is None else verifying(verifier)

    async def _take(self) -> int:
        return await self._buffer.claim.remote(self.name)

    def _called(self, work: int) -> str:
        return f"slot {work}"

    async def _finish(self, index: int) -> None:
        slot = self._env.plan(index)
        proposal = await self._env.propose(slot, random.Random(slot.seed), self._complete, self._verify)
        if isinstance(proposal, LabelledTask):
            await self._buffer.put_task.remote(index, proposal)
            LOG.debug("put a %s", proposal.task.provenance.kind, extra={"task": proposal.task.task_id})
            self._count(proposal.task)
        else:
            await self._buffer.reject_claim.remote(index, proposal.reason)
            LOG.debug("rejected: %s %s", proposal.reason, proposal.detail)

    def _count(self, task: Task) -> None:
        self._meter.add(TASKS, 1, task.env, task.provenance.kind)
        for stage, outcome in self._env.reports[task.env].proposals(task.provenance):
            self._meter.add(PROPOSALS, 1, task.env, stage, outcome)

    async def _complete(self, messages: tuple[Message, ...], max_tokens: int) -> Written:
        try:
            return await _written(self._pool, "scribe", messages, max_tokens, SCRIBE_TEMPERATURE, self._train)
        except PromptTooLong:
            self._meter.add(REJECTED, 1, RejectReason.TOO_LONG)
            return UNANSWERED
        except RequestFailed:
            self._meter.add(REJECTED, 1, RejectReason.ENGINE_ERROR)
            return UNANSWERED


UNANSWERED = Written(text="", truncated=True, policy_version=0)


def verifying(pool: PoolHandle) -> Complete:
    """Access to the verifier in `pool`. A question that does not fit the context, or fails, gets no answer."""

    async def ask(messages: tuple[Message, ...], max_tokens: int) -> Written:
        try:
            return await _written(pool, "verifier", messages, max_tokens, VERIFIER_TEMPERATURE, likely=LIKELY)
        except (PromptTooLong, RequestFailed):
            return UNANSWERED

    return ask


async def _written(
    pool: PoolHandle,
    role: str,
    messages: tuple[Message, ...],
    max_tokens: int,
    temperature: float,
    keep: bool = False,
    likely: int = 0,
) -> Written:
    sampled = await pool.generate.remote(role, messages, 1, max_tokens, temperature, likely)
    (one,) = sampled.completions
    return Written(
        text=one.text,
        truncated=one.truncated,
        policy_version=int(one.versions.min()),
        sampled=sampled if keep else None,
        first=one.first,
    )

from __future__ import annotations

import random

import msgspec
import pytest

from actors.engine import PromptTooLong
from actors.scribe import Scribe, rewordings
from common.records import LabelledTask
from envs.env import Complete, Slot
from tests.actors.fake_buffer import FakeBuffer
from tests.actors.fake_env import FakeEnv, FakePool, completion, labelled_task
from tests.fakes import Handle, remote_error


async def play(buffer: FakeBuffer, pool: FakePool, concurrency: int = 1) -> Scribe:
    scribe = Scribe("scribe-0", FakeEnv(), Handle(buffer), Handle(pool), concurrency)
    await scribe.run()
    return scribe


async def test_a_claimed_slot_becomes_a_task_and_is_counted_by_quadrant() -> None:
    buffer = FakeBuffer(4, 5)
    scribe = await play(buffer, FakePool((completion("a"),), (completion("b"),)))
    assert {index: labelled.task.task_id for index, labelled in buffer.tasks.items()} == {4: "task-4", 5: "task-5"}
    assert await scribe.state() == (False, {("medserl_notes_total", "augmented_safe"): 2})


async def test_rewordings_and_refused_tries_are_counted_by_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    operators = ("inject:B", "reword:model", "reword:rule:age", "noise:typo", "reword:gate:number", "reword:unchanged")
    labelled = labelled_task(0)
    provenance = msgspec.structs.replace(labelled.task.provenance, operators=operators)
    assert rewordings(provenance) == ["model", "rule", "gate:number", "unchanged"]

    class Rewording(FakeEnv):
        async def propose(
            self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
        ) -> LabelledTask:
            return msgspec.structs.replace(labelled, task=msgspec.structs.replace(labelled.task, provenance=provenance))

    scribe = Scribe("scribe-0", Rewording(), Handle(FakeBuffer(0)), Handle(FakePool()), 1)
    await scribe.run()
    _busy, counts = await scribe.state()
    assert {label: n for (name, label), n in counts.items() if name == "medserl_rewordings_total"} == {
        "model": 1,
        "rule": 1,
        "gate:number": 1,
        "unchanged": 1,
    }


async def test_the_proposer_asks_for_one_completion_in_the_scribe_role() -> None:
    pool = FakePool((completion("a"),))
    await play(FakeBuffer(0), pool)
    ((role, messages, n, max_tokens, _),) = pool.asked
    assert (role, messages[0].content, n, max_tokens) == ("scribe", "reword 0", 1, 16)


async def test_a_rejected_proposal_settles_its_claim_with_the_reason() -> None:
    buffer = FakeBuffer(0)
    await play(buffer, FakePool((completion("a", finish="length"),)))
    assert buffer.rejected == [(0, "truncated")] and buffer.tasks == {}


async def test_a_prompt_that_does_not_fit_is_a_truncated_reply_and_not_the_end() -> None:
    buffer = FakeBuffer(0, 1)
    scribe = await play(buffer, FakePool(remote_error(PromptTooLong("900 tokens")), (completion("a"),)))
    assert buffer.rejected == [(0, "truncated")] and list(buffer.tasks) == [1]
    assert (await scribe.state())[1]["medserl_rejections_total", "too_long"] == 1


async def test_a_fault_of_the_environment_ends_the_run_under_its_own_name() -> None:
    class Faulty(FakeEnv):
        def plan(self, index: int) -> None:  # type: ignore[override]
            raise KeyError("vignette")

    scribe = Scribe("scribe-0", Faulty(), Handle(FakeBuffer(0)), Handle(FakePool()), 2)
    with pytest.raises(KeyError, match="vignette"):
        await scribe.run()

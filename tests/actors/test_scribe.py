from __future__ import annotations

import random

import msgspec
import pytest

from actors.engine import PromptTooLong
from actors.scribe import VERIFIER_TEMPERATURE, Scribe, verifying
from common.records import LabelledTask, Message, Provenance, Rejection, Sampled
from envs.contract.env import Complete, Slot
from envs.contract.report import Report
from simulator.fakes import Handle, remote_error
from tests.actors.fake_buffer import FakeBuffer
from tests.actors.fake_env import FakeEnv, FakePool, completion, labelled_task


async def play(buffer: FakeBuffer, pool: FakePool, concurrency: int = 1) -> Scribe:
    scribe = Scribe("scribe-0", FakeEnv(), Handle(buffer), Handle(pool), concurrency)
    await scribe.run()
    return scribe


async def test_a_claimed_slot_becomes_a_task_and_is_counted_by_kind() -> None:
    buffer = FakeBuffer(4, 5)
    scribe = await play(buffer, FakePool((completion("a"),), (completion("b"),)))
    assert {index: labelled.task.task_id for index, labelled in buffer.tasks.items()} == {4: "task-4", 5: "task-5"}
    assert await scribe.state() == (False, {("medserl_tasks_total", ("fake", "augmented_safe")): 2})


class Staged(Report):
    """Its proposer works in one stage, and each of its operators is an outcome."""

    def proposals(self, provenance: Provenance) -> list[tuple[str, str]]:
        return [("stage", operator) for operator in provenance.operators]


async def test_what_the_proposer_tried_is_counted_as_the_game_says(monkeypatch: pytest.MonkeyPatch) -> None:
    labelled = labelled_task(0)
    provenance = msgspec.structs.replace(labelled.task.provenance, operators=("accepted", "json", "json"))
    labelled = msgspec.structs.replace(labelled, task=msgspec.structs.replace(labelled.task, provenance=provenance))
    monkeypatch.setattr("tests.actors.fake_env.labelled_task", lambda index: labelled)
    monkeypatch.setattr(FakeEnv, "report", Staged())
    scribe = await play(FakeBuffer(0), FakePool((completion("a"),)))
    _busy, counts = await scribe.state()
    assert {values: n for (name, values), n in counts.items() if name == "medserl_proposal_outcomes_total"} == {
        ("fake", "stage", "accepted"): 1,
        ("fake", "stage", "json"): 2,
    }


class Verified(FakeEnv):
    """Accepts a slot when the verifier answers A."""

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        if verify is None:
            return Rejection(source=slot.source, reason="no_edit", detail="nobody to ask")
        written = await verify((Message(role="user", content="A or B?"),), 4)
        return labelled_task(slot.index) if written.text == "A" else Rejection(source=slot.source, reason="no_edit")


async def test_the_verifier_is_asked_through_its_own_pool() -> None:
    buffer, frozen = FakeBuffer(0, 1), FakePool((completion("A"),), (completion("B"),))
    await Scribe("scribe-0", Verified(), Handle(buffer), Handle(FakePool()), 1, Handle(frozen)).run()
    assert list(buffer.tasks) == [0] and buffer.rejected == [(1, "no_edit")]
    role, messages, n, max_tokens, temperature = frozen.asked[0]
    assert (role, messages[0].content, n, max_tokens) == ("verifier", "A or B?", 1, 4)
    assert temperature == VERIFIER_TEMPERATURE == 1, "its log-probs are those of the model itself"


async def test_the_likely_first_tokens_of_the_verifier_reach_the_environment() -> None:
    said = msgspec.structs.replace(completion("A"), first=(("A", -0.1), ("B", -2.5)))
    written = await verifying(Handle(FakePool((said,))))((Message(role="user", content="A or B?"),), 1)
    assert written.first == (("A", -0.1), ("B", -2.5))


async def test_without_a_frozen_pool_the_environment_has_no_verifier() -> None:
    buffer = FakeBuffer(0)
    await Scribe("scribe-0", Verified(), Handle(buffer), Handle(FakePool()), 1).run()
    assert buffer.rejected == [(0, "no_edit")]


async def test_a_question_too_long_for_the_verifier_has_no_answer() -> None:
    ask = verifying(Handle(FakePool(remote_error(PromptTooLong("900 tokens")))))
    written = await ask((Message(role="user", content="A or B?"),), 4)
    assert written.truncated and written.text == ""


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
    assert (await scribe.state())[1]["medserl_rejections_total", ("too_long",)] == 1


async def test_a_fault_of_the_environment_ends_the_run_under_its_own_name() -> None:
    class Faulty(FakeEnv):
        def plan(self, index: int) -> None:  # type: ignore[override]
            raise KeyError("vignette")

    scribe = Scribe("scribe-0", Faulty(), Handle(FakeBuffer(0)), Handle(FakePool()), 2)
    with pytest.raises(KeyError, match="vignette"):
        await scribe.run()


class Authoring(FakeEnv):
    """Every completion is a try; it is accepted when it says so."""

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        written = await complete((Message(role="user", content="an error"),), 16)
        tries = written.authored("" if written.text == "good" else "json")
        return msgspec.structs.replace(labelled_task(slot.index), authored=tries)


async def test_a_trained_scribes_tries_travel_with_their_task_as_they_were_sampled() -> None:
    buffer = FakeBuffer(0, 1)
    pool = FakePool((completion("good"),), (completion("bad"),))
    await Scribe("scribe-0", Authoring(), Handle(buffer), Handle(pool), 1, None, True).run()
    (good,), (bad,) = buffer.tasks[0].authored, buffer.tasks[1].authored
    assert (good.refused, bad.refused) == ("", "json")
    assert good.sampled == Sampled(prompt_ids=(7, 8), completions=(completion("good"),))


async def test_a_scribe_that_is_not_trained_keeps_nothing_of_its_completions() -> None:
    buffer = FakeBuffer(0)
    await Scribe("scribe-0", Authoring(), Handle(buffer), Handle(FakePool((completion("good"),))), 1).run()
    assert buffer.tasks[0].authored == ()


async def test_a_prompt_that_does_not_fit_is_no_try() -> None:
    buffer, pool = FakeBuffer(0), FakePool(remote_error(PromptTooLong("900 tokens")))
    await Scribe("scribe-0", Authoring(), Handle(buffer), Handle(pool), 1, None, True).run()
    assert buffer.tasks[0].authored == ()

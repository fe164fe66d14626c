from __future__ import annotations

import random
from pathlib import Path

import pytest

from common.records import Episode, LabelledTask, Message, Rejection
from envs.contract.env import Done, Environment, Written
from envs.verdict.data.medec import split_of
from envs.verdict.environment import VerdictEnvironment, edits_of, rewording_tokens, source_of, truth_of
from envs.verdict.report import VerdictReport
from envs.verdict.scribe import gate
from envs.verdict.spec import DataSpec, VerdictSettings

MEDEC = Path(__file__).parents[4] / "shared" / "medec" / "MEDEC-MS-ValidationSet-with-GroundTruth-and-ErrorType.csv"


class Scribe:
    """Answers every request with `prefix` and the sentence itself, and remembers what it was asked."""

    def __init__(self, prefix: str = "", truncated: bool = False) -> None:
        self.prefix, self.truncated = prefix, truncated
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, messages: tuple[Message, ...], max_tokens: int) -> Written:
        sentence = messages[-1].content.rsplit("Sentence: ", 1)[-1]
        self.asked.append((sentence, max_tokens))
        return Written(text=self.prefix + sentence, truncated=self.truncated, policy_version=7)


async def propose(env: VerdictEnvironment, index: int, scribe: Scribe | None = None) -> LabelledTask:
    slot = env.plan(index)
    made = await env.propose(slot, random.Random(slot.seed), scribe or Scribe(truncated=True))
    assert isinstance(made, LabelledTask), made
    return made


async def first_of(env: VerdictEnvironment, quadrant: str, scribe: Scribe) -> LabelledTask:
    index = next(i for i in range(99) if env.plan(i).kind == quadrant)
    return await propose(env, index, scribe)


def reply_to(env: VerdictEnvironment, made: LabelledTask) -> Episode:
    return Episode(task_id=made.task.task_id, actions=(env.demonstration(made, random.Random(0)),))


async def test_every_quadrant_gives_a_task_whose_demonstration_scores_the_maximum() -> None:
    env = VerdictEnvironment(VerdictSettings(), 0)
    seen = set()
    for index in range(120):
        made = await propose(env, index)
        assert env.score(reply_to(env, made), made.label).total == 1.0
        seen.add(made.task.provenance.kind)
    assert seen == set(VerdictEnvironment.report.kinds)
    assert isinstance(env, Environment)


async def test_the_label_follows_from_the_quadrant_and_the_log_undoes_every_edit() -> None:
    env = VerdictEnvironment(VerdictSettings(), 1)
    for index in range(80):
        made = await propose(env, index)
        truth, sentences = truth_of(made.label), made.task.context["sentences"]
        with_error = made.task.provenance.kind in ("augmented_error", "synthetic_injection")
        assert (truth.error_type is not None) == with_error
        if truth.sentence is not None:
            assert sentences[truth.sentence] == truth.error_text
        assert truth.sentence_count == len(sentences) == len(source_of(made))


async def test_decoy_and_injection_undo_to_the_same_clean_note() -> None:
    env = VerdictEnvironment(VerdictSettings(), 2)
    for index in range(0, 80, 2):
        if env.plan(index).kind.startswith("synthetic"):
            first, second = [await propose(env, i) for i in (index, index + 1)]
            assert source_of(first) == source_of(second)


async def test_a_rewording_that_passes_the_gate_survives_with_its_policy_version() -> None:
    scribe = Scribe(prefix="On review, ")
    made = await first_of(VerdictEnvironment(VerdictSettings(), 0), "augmented_error", scribe)
    assert made.task.provenance.model_written and made.task.provenance.policy_version == 7
    assert "reword:model" in made.task.provenance.operators
    for edit in edits_of(made.label):
        if edit.operator == "reword:model":
            assert gate.check(edit.old, edit.new) is None


async def test_refused_rewordings_are_named_and_fall_back_to_rules() -> None:
    scribe = Scribe(prefix="Here is the sentence: ")
    env = VerdictEnvironment(VerdictSettings(data=DataSpec(proposer_tries=3, reworded_sentences=1)), 0)
    made = await first_of(env, "augmented_safe", scribe)
    assert len(scribe.asked) == 3
    assert made.task.provenance.operators.count("reword:gate:meta") == 3
    assert not made.task.provenance.model_written and made.task.provenance.policy_version == 0


async def test_a_truncated_rewording_never_survives() -> None:
    made = await first_of(
        VerdictEnvironment(VerdictSettings(), 0), "augmented_error", Scribe(prefix="On review, ", truncated=True)
    )
    assert not made.task.provenance.model_written
    assert "reword:gate:truncated" in made.task.provenance.operators


async def test_without_tries_the_model_is_never_asked() -> None:
    scribe = Scribe()
    env = VerdictEnvironment(VerdictSettings(data=DataSpec(proposer_tries=0)), 0)
    for index in range(20):
        await propose(env, index, scribe)
    assert scribe.asked == []


async def test_the_same_slot_gives_the_same_task_again() -> None:
    one, two = VerdictEnvironment(VerdictSettings(), 5), VerdictEnvironment(VerdictSettings(), 5)
    assert [await propose(one, i) for i in range(12)] == [await propose(two, i) for i in range(12)]


async def test_the_prompt_shows_the_sentences_and_nothing_of_the_provenance() -> None:
    env = VerdictEnvironment(VerdictSettings(), 0)
    made = await propose(env, 0)
    shown = env.open(made.task).messages
    assert all(sentence in shown[-1].content for sentence in made.task.context["sentences"])
    provenance = made.task.provenance
    for secret in (provenance.source, provenance.vignette, provenance.kind, made.task.task_id):
        assert not any(secret in message.content for message in shown)
    state, first = env.begin(made.task)
    assert first == env.open(made.task)
    assert env.advance(state, "x")[1] == Done()


async def test_task_ids_are_unlike_each_other_and_name_nothing() -> None:
    env = VerdictEnvironment(VerdictSettings(), 0)
    ids = [(await propose(env, i)).task.task_id for i in range(60)]
    assert len(set(ids)) == 60 and all(len(i) == 16 and int(i, 16) >= 0 for i in ids)


async def test_a_reply_to_another_task_is_not_scored() -> None:
    env = VerdictEnvironment(VerdictSettings(), 0)
    one, two = await propose(env, 0), await propose(env, 1)
    with pytest.raises(ValueError, match="cannot be scored with the label of"):
        env.score(reply_to(env, one), two.label)


async def test_heldout_slots_use_other_vignettes_and_say_so() -> None:
    env = VerdictEnvironment(VerdictSettings(data=DataSpec(heldout=0.3)), 0)
    train, heldout = {env.plan(i).source for i in range(200)}, {env.heldout_plan(i).source for i in range(200)}
    assert not train & heldout and {split_of(name, 0.3) for name in heldout} == {"heldout"}
    slot = env.heldout_plan(0)
    made = await env.propose(slot, random.Random(0), Scribe(truncated=True))
    assert isinstance(made, LabelledTask) and made.task.split == "heldout"


def test_nothing_held_out_is_said_in_one_line() -> None:
    with pytest.raises(ValueError, match="holds no vignette back"):
        VerdictEnvironment(VerdictSettings(data=DataSpec(heldout=0)), 0).heldout_plan(0)


def test_notes_that_are_all_too_long_are_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="raise max_words"):
        VerdictEnvironment(VerdictSettings(data=DataSpec(max_words=20)), 0)


def test_a_rewording_may_be_as_long_as_the_gate_allows() -> None:
    assert rewording_tokens("x" * 300) == 208


@pytest.mark.skipif(not MEDEC.exists(), reason="MEDEC is not here")
async def test_real_notes_give_all_quadrants_without_refusal() -> None:
    env = VerdictEnvironment(VerdictSettings(data=DataSpec(path=str(MEDEC))), 0)
    reasons = {name: 0 for name in VerdictReport.rejections}
    for index in range(300):
        slot = env.plan(index)
        made = await env.propose(slot, random.Random(slot.seed), Scribe(prefix="On review, "))
        if isinstance(made, Rejection):
            reasons[made.reason] += 1
        else:
            assert env.score(reply_to(env, made), made.label).total == 1.0
    assert sum(reasons.values()) == 0

from __future__ import annotations

import asyncio
import random
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from common.records import Episode, LabelledTask, Message
from envs.contract.env import Done, Environment, Slot, Written
from envs.contradiction.checker import Checker
from envs.contradiction.environment import CLASS_OF, CLASSES, Contradiction, vocabulary
from envs.contradiction.spec import ContradictionSettings
from envs.verdict.doctor.grammar import Verdict, parse

ENV = Contradiction(ContradictionSettings(), seed=3)
EPOCH = 2 * 2 * len(CLASS_OF)  # slots of one balanced round of the training plan


async def refuse(messages: tuple[Message, ...], max_tokens: int) -> Written:
    raise AssertionError("the proposer asked the model")


def labelled(slot: Slot, env: Contradiction = ENV) -> LabelledTask:
    task = asyncio.run(env.propose(slot, random.Random(slot.seed), refuse))
    assert isinstance(task, LabelledTask)
    return task


def is_error(task: LabelledTask) -> bool:
    return "error_type" in task.label.truth["verdict"]


def total(task: LabelledTask, reply: str) -> float:
    return ENV.score(Episode(task_id=task.task.task_id, actions=(reply,)), task.label).total


TRAIN = [labelled(ENV.plan(index)) for index in range(4 * EPOCH)]
HELDOUT = [labelled(ENV.heldout_plan(index)) for index in range(4 * EPOCH)]


def test_it_is_an_environment() -> None:
    assert isinstance(ENV, Environment)


def test_every_drug_has_one_class_and_classes_have_equal_size() -> None:
    assert len(CLASS_OF) == 12
    assert {len(drugs) for drugs in CLASSES.values()} == {3}
    assert not CLASS_OF.keys() & CLASSES.keys()


@pytest.mark.parametrize("task", [TRAIN[0], TRAIN[1], HELDOUT[2], HELDOUT[3]], ids=lambda task: task.task.task_id)
def test_proposing_again_writes_the_same_task(task: LabelledTask) -> None:
    index = int(task.task.task_id.split("-")[-1])
    plan = ENV.plan if task.task.split == "train" else ENV.heldout_plan
    assert labelled(plan(index), Contradiction(ContradictionSettings(), seed=3)) == task


def test_another_seed_draws_another_plan() -> None:
    other = Contradiction(ContradictionSettings(), seed=4)
    assert [ENV.plan(index) for index in range(20)] != [other.plan(index) for index in range(20)]


@given(st.integers(0, 10**6), st.booleans())
def test_the_oracle_scores_the_maximum_and_the_other_verdict_less_than_zero(index: int, heldout: bool) -> None:
    task = labelled(ENV.heldout_plan(index) if heldout else ENV.plan(index))
    twin = labelled(ENV.heldout_plan(index ^ 1) if heldout else ENV.plan(index ^ 1))
    assert total(task, ENV.demonstration(task, random.Random(0))) == 1.0
    assert total(task, ENV.demonstration(twin, random.Random(0))) < 0


@given(st.integers(0, 10**6))
def test_the_label_follows_from_the_note_alone(index: int) -> None:
    task = labelled(ENV.plan(index))
    stated, taken = _drugs(task)
    assert is_error(task) == (CLASS_OF[stated] == CLASS_OF[taken])
    assert task.task.provenance.kind == ("synthetic_injection" if is_error(task) else "synthetic_decoy")


@given(st.integers(0, 10**6))
def test_twins_differ_only_in_the_drug_given(index: int) -> None:
    error, clean = labelled(ENV.plan(2 * index)), labelled(ENV.plan(2 * index + 1))
    assert (is_error(error), is_error(clean)) == (True, False)
    assert error.task.provenance.vignette == clean.task.provenance.vignette
    lines = zip(error.task.context["sentences"], clean.task.context["sentences"], strict=True)
    changed = [(one, other) for one, other in lines if one != other]
    assert len(changed) == 1
    assert changed[0][0].split()[0] == changed[0][1].split()[0]


@pytest.mark.parametrize("tasks", [TRAIN, HELDOUT], ids=["train", "heldout"])
def test_every_word_of_every_line_is_as_frequent_with_either_label(tasks: list[LabelledTask]) -> None:
    counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for task in tasks:
        counts[is_error(task)].update(
            f"{number} {line.split()[0]} {word}"
            for number, line in enumerate(task.task.context["sentences"])
            for word in line.split()
            if word.rstrip(".") not in CLASS_OF
        )
        counts[is_error(task)].update(f"{role} {drug}" for role, drug in enumerate(_drugs(task)))
    assert counts[True] == counts[False]
    assert len({counts[True][f"{role} {drug}"] for role in (0, 1) for drug in CLASS_OF}) == 1


def test_the_line_that_gives_the_drug_may_be_any() -> None:
    places = Counter(task.label.truth["verdict"]["sentence"] for task in TRAIN if is_error(task))
    assert set(places) == {0, 1, 2, 3}
    assert min(places.values()) > len(TRAIN) / 2 / 16


def test_heldout_notes_share_no_wording_with_training_and_half_of_them_no_pair() -> None:
    train_pairs = {_drugs(task) for task in (labelled(ENV.plan(index)) for index in range(20 * EPOCH))}
    assert {_wording(task) for task in TRAIN}.isdisjoint(_wording(task) for task in HELDOUT)
    parts = Counter(ENV.part_of(task.task) for task in HELDOUT)
    assert parts == {"seen_pair": len(HELDOUT) // 2, "unseen_pair": len(HELDOUT) // 2}
    for task in HELDOUT:
        if ENV.part_of(task.task) == "unseen_pair":
            assert _drugs(task) not in train_pairs
        elif is_error(task):  # clean pairs are too many for 20 epochs to hold them all
            assert _drugs(task) in train_pairs
    assert {task.task.split for task in HELDOUT} == {"heldout"}
    assert {ENV.part_of(task.task) for task in TRAIN} == {"train"}


def test_heldout_wordings_are_the_same_for_every_seed() -> None:
    other = Contradiction(ContradictionSettings(), seed=11)
    theirs = {_wording(labelled(other.heldout_plan(index), other)) for index in range(600)}
    assert theirs.isdisjoint(_wording(task) for task in TRAIN)


def test_prompts_and_replies_are_short() -> None:
    for task in TRAIN[:EPOCH]:
        (message,) = ENV.open(task.task).messages
        assert message.role == "user"
        assert len(task.task.context["sentences"]) in (3, 4)
        assert len(message.content) <= 80  # characters: under 60 tokens for any BPE that merges pairs of letters
        reply = ENV.demonstration(task, random.Random(0))
        assert len(reply) <= 200
        assert isinstance(parse(reply, len(task.task.context["sentences"])), Verdict)


def test_the_vocabulary_covers_notes_and_thinking() -> None:
    known = set(vocabulary())
    for task in TRAIN[:EPOCH]:
        text = " ".join((*task.task.context["sentences"], task.label.truth["thinking"])).replace(".", "")
        assert set(text.split()) <= known


def test_no_constant_reply_earns_on_average() -> None:
    clean = ENV.demonstration(TRAIN[1], random.Random(0))
    assert sum(total(task, clean) for task in TRAIN) / len(TRAIN) == pytest.approx(0)
    for task in TRAIN[:8:2]:
        flag = ENV.demonstration(task, random.Random(0))
        assert sum(total(other, flag) for other in TRAIN) / len(TRAIN) <= 1e-9


def test_one_reply_ends_the_episode() -> None:
    state, _ = ENV.begin(TRAIN[0].task)
    assert ENV.advance(state, "anything")[1] == Done()


def test_an_episode_of_another_task_is_refused() -> None:
    with pytest.raises(ValueError, match=r"contradiction-3-train-1 .*contradiction-3-train-0"):
        ENV.score(Episode(task_id=TRAIN[1].task.task_id, actions=("x",)), TRAIN[0].label)


def test_a_path_to_notes_is_refused() -> None:
    with pytest.raises(ValidationError, match="data"):
        ContradictionSettings.model_validate({"data": {"path": "notes.csv"}})


def test_tasks_and_labels_survive_the_wire() -> None:
    for task in (TRAIN[0], TRAIN[1]):
        assert msgspec.json.decode(msgspec.json.encode(task), type=LabelledTask) == task


def _drugs(task: LabelledTask) -> tuple[str, str]:
    """The drug of the allergy line and the drug given, as they stand in the note."""
    last = {line.split()[0]: line.split()[-1].rstrip(".") for line in task.task.context["sentences"]}
    stated = next(last[verb] for verb in ("Allergy", "Allergic") if verb in last)
    return stated, next(last[verb] for verb in ("Given", "Started") if verb in last)


def _wording(task: LabelledTask) -> tuple[str, ...]:
    return tuple(" ".join(line.split()[:-1]) or line for line in task.task.context["sentences"])


def test_the_independent_checker_agrees_and_finds_a_swapped_label() -> None:
    checker = Checker()
    assert [checker.disagreement(task) for task in (*TRAIN, *HELDOUT)] == [None] * (len(TRAIN) + len(HELDOUT))
    for error, clean in zip(TRAIN[::2], TRAIN[1::2], strict=True):
        for one, other in ((error, clean), (clean, error)):
            assert "the note says" in str(checker.disagreement(msgspec.structs.replace(one, label=other.label)))

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.records import Label, LabelledTask, Message
from envs.conformance.baselines import SILENT
from envs.contract.env import Written
from envs.verdict.checker import Checker
from envs.verdict.cosmetic import cosmetic
from envs.verdict.environment import VerdictEnvironment
from envs.verdict.proofs import proofs
from envs.verdict.scribe import edits
from envs.verdict.scribe.noise import noise
from envs.verdict.scribe.phrases import provable
from envs.verdict.spec import DataSpec, VerdictSettings

DATA = DataSpec(heldout=0.2)
ENV = VerdictEnvironment(VerdictSettings(data=DATA), 3)
CHECKER = Checker(ENV.sources.notes, DATA.heldout)


def made(count: int) -> Iterator[LabelledTask]:
    for index in range(count):
        slot = ENV.plan(index)
        task = asyncio.run(ENV.propose(slot, random.Random(slot.seed), SILENT))
        assert isinstance(task, LabelledTask)
        yield task


TASKS = list(made(60))


def with_truth(task: LabelledTask, **changes: Any) -> LabelledTask:
    truth = {**task.label.truth, **changes}
    return msgspec.structs.replace(task, label=Label(task_id=task.label.task_id, truth=truth))


def with_provenance(task: LabelledTask, **changes: Any) -> LabelledTask:
    provenance = msgspec.structs.replace(task.task.provenance, **changes)
    return msgspec.structs.replace(task, task=msgspec.structs.replace(task.task, provenance=provenance))


def with_sentence(task: LabelledTask, at: int, text: str) -> LabelledTask:
    sentences = list(task.task.context["sentences"])
    sentences[at] = text
    return msgspec.structs.replace(task, task=msgspec.structs.replace(task.task, context={"sentences": sentences}))


def test_the_checker_agrees_with_every_label_of_the_generator() -> None:
    assert [CHECKER.disagreement(task) for task in made(400)] == [None] * 400


ERRORS = [task for task in TASKS if task.label.truth["error_type"]]
CLEANS = [task for task in TASKS if not task.label.truth["error_type"]]
LIES: list[tuple[list[LabelledTask], Callable[[LabelledTask], LabelledTask]]] = [
    (ERRORS, lambda t: with_truth(t, error_type=None, sentence=None, error_text=None, corrected_text=None)),
    (ERRORS, lambda t: with_truth(t, error_type="treatment" if t.label.truth["error_type"] != "treatment" else "x")),
    (ERRORS, lambda t: with_truth(t, sentence=t.label.truth["sentence"] + 1)),
    (ERRORS, lambda t: with_truth(t, corrected_text="Something else.")),
    (ERRORS, lambda t: with_truth(t, error_text="Something else.")),
    (ERRORS, lambda t: with_provenance(t, kind="synthetic_decoy")),
    (ERRORS, lambda t: with_provenance(t, tier="")),
    (CLEANS, lambda t: with_provenance(t, kind="augmented_error")),
    (
        CLEANS,
        lambda t: with_truth(t, error_type="diagnosis", sentence=0, error_text="a", corrected_text="b"),
    ),
    (TASKS, lambda t: with_truth(t, sentence_count=99)),
    (TASKS, lambda t: with_provenance(t, source="no such note")),
    (TASKS, lambda t: with_sentence(t, 0, t.task.context["sentences"][0] + " He is dying.")),
    (
        [t for t in TASKS if len(t.task.context["sentences"]) > 3],
        lambda t: with_truth(t, order=[1, 0, *range(2, t.label.truth["sentence_count"])]),
    ),
    ([t for t in TASKS if t.label.truth["edits"]], lambda t: with_truth(t, edits=t.label.truth["edits"][:-1])),
]


@pytest.mark.parametrize("number", range(len(LIES)))
def test_a_lie_about_a_task_is_found(number: int) -> None:
    tasks, lie = LIES[number]
    assert len(tasks) >= 20
    assert [task.task.task_id for task in tasks if CHECKER.disagreement(lie(task)) is None] == []


def test_an_edit_that_changes_the_meaning_is_no_noise_whatever_it_is_called() -> None:
    task = next(task for task in CLEANS if any("fever" in s for s in task.task.context["sentences"]))
    sentences = task.task.context["sentences"]
    at, start = next((i, s.index("fever")) for i, s in enumerate(sentences) if "fever" in s)
    edit = edits.Edit(operator="noise:typo", sentence=at, start=start, old="fever", new="sepsis")
    log = [*task.label.truth["edits"], msgspec.to_builtins(edit)]
    lie = with_truth(with_sentence(task, at, edits.apply(sentences, edit)[at]), edits=log)
    assert "nothing proves that 'fever' -> 'sepsis'" in str(CHECKER.disagreement(lie))


def test_a_retelling_of_an_injection_is_no_retelling() -> None:
    task = next(t for t in TASKS if any("retell:age" in o for o in t.task.provenance.operators))
    assert CHECKER.disagreement(task) is None
    lie = with_provenance(task, kind="synthetic_injection" if task.label.truth["error_type"] else "synthetic_decoy")
    assert "change the meaning" in str(CHECKER.disagreement(lie)) or "nothing proves" in str(CHECKER.disagreement(lie))


async def _on_review(messages: tuple[Message, ...], max_tokens: int) -> Written:
    return Written(
        text="On review, " + messages[-1].content.rsplit("Sentence: ", 1)[-1], truncated=False, policy_version=1
    )


async def test_a_rewording_by_the_model_is_accepted_where_numbers_and_negations_stay() -> None:
    slots = [slot for slot in map(ENV.plan, range(40)) if slot.kind.startswith("augmented")]
    tasks = [await ENV.propose(slot, random.Random(slot.seed), _on_review) for slot in slots]
    written = [task for task in tasks if isinstance(task, LabelledTask) and task.task.provenance.model_written]
    assert len(written) > 10 and {CHECKER.disagreement(task) for task in written} == {None}
    lies = 0
    for task in written:
        log = [dict(edit) for edit in task.label.truth["edits"]]
        for at, edit in enumerate(log):
            if edit["operator"] == "reword:model" and edit["sentence"] not in {
                one["sentence"] for one in log[at + 1 :]
            }:
                edit["new"] += " It is 77."
                lie = with_truth(with_sentence(task, edit["sentence"], edit["new"]), edits=log)
                assert CHECKER.disagreement(lie) is not None
                lies += 1
    assert lies > 0


NOTE = (
    "A 24-year-old woman comes to the emergency department because of a 4-hour history of headaches.",
    "Two weeks ago, she was started on Tylenol and metformin after 3 days of fever.",
    "On March 3, physical examination shows facial flushing and the patient complains of hypertension.",
)


def test_an_error_of_the_notes_own_vignette_is_no_injection() -> None:
    found = 0
    for note in ENV.sources.notes:
        if note.error_sentence is None or note.corrected_sentence is None:
            continue
        at, right, wrong = note.error_sentence, note.corrected_sentence, note.sentences[note.error_sentence]
        edit = edits.Edit(operator="inject:B", sentence=at, start=0, old=right, new=wrong)
        task = next(t for t in ERRORS if t.task.provenance.kind == "synthetic_injection")
        lie = with_provenance(task, source=f"{note.note_id}-corrected", vignette=note.vignette, tier="B")
        lie = msgspec.structs.replace(
            lie, task=msgspec.structs.replace(lie.task, context={"sentences": list(note.sentences)})
        )
        truth = {"error_type": note.error_type, "sentence": at, "error_text": wrong, "corrected_text": right}
        lie = with_truth(lie, sentence_count=len(note.sentences), edits=[msgspec.to_builtins(edit)], **truth)
        assert "puts back an error" in str(CHECKER.disagreement(lie))
        found += 1
    assert found >= 60


@given(st.integers(0, 2**32))
def test_every_noise_is_cosmetic_to_the_checker(seed: int) -> None:
    now: tuple[str, ...] = NOTE
    for edit in noise(NOTE, range(3), (), 6, random.Random(seed), random.Random(seed))[1]:
        before, now = now, edits.apply(now, edit)
        assert cosmetic(before[edit.sentence], now[edit.sentence]), edit


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("He takes aspirin.", "He takes heparin."),
        ("He has 3 days of fever.", "He has 4 days of fever."),
        ("The left knee is stiff.", "The right knee is stiff."),
        ("He has no fever.", "He has fever."),
        ("A form of gout.", "A from of gout is there."),
    ],
)
def test_a_change_of_fact_is_not_cosmetic(before: str, after: str) -> None:
    assert not cosmetic(before, after)


NOTES = [
    ("She is allergic to penicillin.", "She is prescribed azithromycin."),
    ("Sputum culture grows Legionella pneumophila.", "Infection with Legionella pneumophila is diagnosed."),
    ("He has pain in the left knee.", "An x-ray of the left knee is ordered."),
    ("He has high blood pressure.", "She is started on lisinopril 10 mg daily."),
    ("She takes metformin.", "Metformin therapy is stopped."),
]


@pytest.mark.parametrize("note", NOTES)
def test_every_error_of_tier_a_is_proved_again(note: tuple[str, ...]) -> None:
    found = provable(note)
    assert found
    for i in found:
        assert i.error_type in proofs(note, i.edit.sentence, i.edit.old, i.edit.new)


@pytest.mark.parametrize("note", NOTES)
def test_without_its_evidence_a_tier_a_error_is_not_proved(note: tuple[str, ...]) -> None:
    without = ("He feels unwell.", note[1])
    for i in provable(note):
        if "mg" not in note[1]:  # the ceiling of a dose stands in the tables, not in the note
            assert proofs(without, i.edit.sentence, i.edit.old, i.edit.new) == set()

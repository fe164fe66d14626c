from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.records import Label, LabelledTask, Message, Sampled
from envs.contract.env import Written
from envs.verdict.checker import Checker
from envs.verdict.cosmetic import cosmetic
from envs.verdict.environment import VerdictEnvironment, edits_of, source_of
from envs.verdict.scribe import edits
from envs.verdict.scribe.noise import KINDS
from envs.verdict.scribe.phrases import Injection, decisions
from envs.verdict.scribe.proposals import Offer, Proposed, propose, read
from envs.verdict.spec import DataSpec, VerdictSettings

NOTE = (
    "A 41-year-old man has had a productive cough and fever for 5 days.",
    "He was treated with lisinopril two years ago.",
    "Pneumonia is diagnosed.",
    "He is started on an oral dose of amoxicillin and given acetaminophen for 2 weeks; amoxicillin is well tolerated.",
    "He is prescribed Tylenol for the fever.",
)
AMONG = tuple(decisions(NOTE))
OFFER = Offer(sentences=NOTE, among=AMONG, kind="diagnosis")
GOOD = {"sentence": 2, "old": "Pneumonia", "new": "appendicitis", "type": "diagnosis"}


def test_the_note_has_decisions_and_a_sentence_of_history() -> None:
    assert AMONG == (2, 3, 4)


def proposed(**changes: Any) -> Injection | str:
    return read(json.dumps({**GOOD, **changes}), OFFER)


def test_a_good_proposal_is_applied_by_code_in_the_grammar_of_its_place() -> None:
    found = proposed()
    assert isinstance(found, Injection)
    assert (found.error_type, found.tier, found.edit.operator) == ("diagnosis", "C", "inject:C")
    assert edits.apply(NOTE, found.edit)[2] == "Appendicitis is diagnosed."
    assert edits.invert(edits.apply(NOTE, found.edit), [found.edit]) == NOTE
    article = proposed(sentence=3, old="oral dose", new="topical dose")
    assert isinstance(article, Injection) and "on a topical dose of" in edits.apply(NOTE, article.edit)[3]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"type": "surgery"}, "type"),
        ({"type": "treatment"}, "type"),  # one of the five, but not the one that was asked for
        ({"type": "Diagnosis"}, "type"),
        ({"sentence": 0, "old": "fever", "new": "rash"}, "sentence"),  # locked: states no decision
        ({"sentence": 1, "old": "lisinopril", "new": "warfarin"}, "sentence"),  # history
        ({"sentence": 5}, "sentence"),
        ({"sentence": -1}, "sentence"),
        ({"sentence": "2"}, "json"),
        ({"sentence": True}, "json"),
        ({"new": None}, "json"),
        ({"reason": "because"}, "json"),
        ({"old": ""}, "span"),
        ({"new": " "}, "span"),
        ({"new": "a b c d e f g"}, "span"),
        ({"new": "lung\ncancer"}, "span"),
        ({"new": "lung\u200bcancer"}, "span"),
        ({"new": "<verdict>"}, "span"),
        ({"new": "x <b> x"}, "span"),
        ({"new": "x ＜b＞ x"}, "span"),
        ({"new": "cancer. He died"}, "span"),
        ({"new": "cancer."}, "span"),
        ({"old": "pneumonia"}, "place"),  # not byte for byte
        ({"old": "Pneumo"}, "place"),  # not a whole word
        ({"old": "sepsis"}, "place"),
        ({"sentence": 3, "old": "amoxicillin", "new": "warfarin"}, "place"),  # stands there twice
        ({"new": "Pneumonia"}, "form"),
        ({"new": "PNEUMONIA"}, "form"),
        ({"new": "Pnuemonia"}, "form"),
        ({"sentence": 4, "old": "Tylenol", "new": "acetaminophen"}, "form"),
        ({"sentence": 3, "old": "2 weeks", "new": "two weeks"}, "form"),
        ({"sentence": 3, "old": "2 weeks", "new": "2 wks"}, "form"),
        ({"sentence": 4, "old": "Tylenol", "new": "lisinopril"}, "known"),
        ({"sentence": 4, "old": "Tylenol", "new": "Acetaminophen for 2 weeks"}, "known"),
    ],
)
def test_what_code_can_refuse_is_refused_with_its_reason(changes: dict[str, Any], why: str) -> None:
    assert proposed(**changes) == why


@pytest.mark.parametrize("frame", ["Sure: {}", "```json\n{}\n```", "[{}]", "{0} {0}", "{}.", "", "null", "3"])
def test_anything_but_one_object_is_refused(frame: str) -> None:
    assert read(frame.format(json.dumps(GOOD)), OFFER) == "json"


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_a_missing_key_is_refused(missing: str) -> None:
    assert read(json.dumps({k: v for k, v in GOOD.items() if k != missing}), OFFER) == "json"


@given(st.data())
def test_no_accepted_error_is_cosmetic_to_the_independent_checker(data: st.DataObject) -> None:
    at = data.draw(st.sampled_from(AMONG))
    spans = [span for kind in KINDS.values() for span in kind(NOTE[at])]
    spans += [(0, "Pneumonia", "Lung cancer"), (0, "Tylenol", "heparin"), (0, "2 weeks", "9 weeks")]
    _start, old, new = data.draw(st.sampled_from(spans))
    found = proposed(sentence=at, old=old, new=new)
    if isinstance(found, Injection):
        assert not cosmetic(NOTE[at], edits.apply(NOTE, found.edit)[at])


class Model:
    """Answers in turn, the last answer for ever; remembers what it was asked."""

    def __init__(self, *answers: str, truncated: bool = False, sampled: Sampled | None = None) -> None:
        self.answers, self.truncated, self.sampled = list(answers), truncated, sampled
        self.asked: list[str] = []

    async def __call__(self, messages: tuple[Message, ...], max_tokens: int) -> Written:
        self.asked.append(messages[-1].content)
        text = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Written(text=text, truncated=self.truncated, policy_version=5, sampled=self.sampled)


def likes(gap: float) -> Written:
    """The reply of a model that likes A by `gap` nats more than B."""
    return Written(text="", truncated=True, policy_version=0, first=(("A", -1.0 + gap / 2), ("B", -1.0 - gap / 2)))


class Verifier:
    """Prefers the version that holds one of `words`, by 2 nats; likes both alike, or the first, where none does."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.asked = 0

    async def __call__(self, messages: tuple[Message, ...], max_tokens: int) -> Written:
        self.asked += 1
        a, b = messages[-1].content.rsplit("\nA: ", 1)[1].split("\nB: ")
        held = [any(word in version for word in self.words) for version in (a, b)]
        return likes(2.0 * (held[0] - held[1]) or -0.1)


async def test_an_error_that_the_verifier_confirms_is_accepted_with_its_writer() -> None:
    outcome = await propose(OFFER, 2, Model(json.dumps(GOOD)), Verifier("Pneumonia"))
    assert outcome == Proposed(injection=outcome.injection, policy_version=5)
    assert outcome.injection is not None and outcome.injection.edit.new == "Appendicitis"


async def test_an_error_below_the_margin_of_the_exam_is_refused() -> None:
    for least, accepted in ((1.9, True), (2.1, False)):
        offer = msgspec.structs.replace(OFFER, margin=least)
        outcome = await propose(offer, 1, Model(json.dumps(GOOD)), Verifier("Pneumonia"))
        assert (outcome.injection is not None) == accepted


@pytest.mark.parametrize("word", ["Appendicitis", "no such word", "is diagnosed"])
async def test_an_error_that_the_verifier_does_not_confirm_is_refused(word: str) -> None:
    outcome = await propose(OFFER, 3, Model(json.dumps(GOOD)), Verifier(word))
    assert outcome == Proposed(injection=None, reasons=("inject:C:verifier",) * 3)


async def test_each_refused_try_leaves_its_reason_and_costs_the_verifier_nothing() -> None:
    model = Model("no json", json.dumps({**GOOD, "sentence": 0}), json.dumps(GOOD))
    verifier = Verifier("Pneumonia")
    outcome = await propose(OFFER, 3, model, verifier)
    assert outcome.injection is not None and outcome.reasons == ("inject:C:json", "inject:C:sentence")
    assert verifier.asked == 2


async def test_a_trained_scribes_tries_are_kept_in_order_and_only_a_verified_one_is_not_refused() -> None:
    sampled = Sampled(prompt_ids=(1,), completions=())
    model = Model("no json", json.dumps({**GOOD, "sentence": 0}), json.dumps(GOOD), sampled=sampled)
    outcome = await propose(OFFER, 3, model, Verifier("Pneumonia"))
    assert [one.refused for one in outcome.authored] == ["json", "sentence", ""]
    assert all(one.sampled is sampled for one in outcome.authored)
    unsure = await propose(OFFER, 2, Model(json.dumps(GOOD), sampled=sampled), Verifier())
    assert [one.refused for one in unsure.authored] == ["verifier", "verifier"]


async def test_a_truncated_proposal_is_not_read() -> None:
    outcome = await propose(OFFER, 1, Model(json.dumps(GOOD), truncated=True), Verifier("Pneumonia"))
    assert outcome.reasons == ("inject:C:truncated",) and outcome.injection is None


async def test_the_scribe_is_shown_which_sentences_it_may_change() -> None:
    model = Model("no json")
    await propose(OFFER, 1, model, Verifier())
    assert f"1 {NOTE[1]}\n2 * {NOTE[2]}\n3 * " in model.asked[0]
    assert "error of type diagnosis" in model.asked[0] and '"type": "diagnosis"' in model.asked[0]


DATA = DataSpec(tier_c=True)
ENV = VerdictEnvironment(VerdictSettings(data=DATA), 0)
CHECKER = Checker(ENV.sources.notes, DATA.heldout, tier_c=True)


class Inventor:
    """Proposes an error in a marked sentence: its longest word becomes another."""

    async def __call__(self, messages: tuple[Message, ...], max_tokens: int) -> Written:
        note = messages[-1].content.rsplit("Note:\n", 1)[-1]
        line = next((line for line in note.splitlines() if " * " in line), "")
        if not line:
            return Written(text="", truncated=True, policy_version=0)  # a rewording: not this model's task
        number, sentence = line.split(" * ", 1)
        kind = messages[-1].content.split("error of type ", 1)[1].split()[0]
        old = max((word.strip(".,;") for word in sentence.split()), key=len)
        text = json.dumps({"sentence": int(number), "old": old, "new": "leeches", "type": kind})
        return Written(text=text, truncated=False, policy_version=9)


class TrainedInventor(Inventor):
    async def __call__(self, messages: tuple[Message, ...], max_tokens: int) -> Written:
        written = await super().__call__(messages, max_tokens)
        return msgspec.structs.replace(written, sampled=Sampled(prompt_ids=(1,), completions=()))


class NoLeeches(Verifier):
    async def __call__(self, messages: tuple[Message, ...], max_tokens: int) -> Written:
        a = messages[-1].content.rsplit("\nA: ", 1)[1].split("\nB: ")[0]
        return likes(-2.0 if "leeches" in a.lower() else 2.0)


async def made(env: VerdictEnvironment, index: int, verify: Verifier | None) -> LabelledTask:
    slot = env.plan(index)
    task = await env.propose(slot, random.Random(slot.seed), Inventor(), verify)
    assert isinstance(task, LabelledTask)
    return task


async def tier_c_tasks(count: int = 120) -> list[LabelledTask]:
    tasks = [await made(ENV, index, NoLeeches()) for index in range(count)]
    return [task for task in tasks if task.task.provenance.tier == "C"]


async def test_a_proposed_error_becomes_the_label_and_the_independent_checker_agrees() -> None:
    tasks = await tier_c_tasks()
    assert len(tasks) >= 3
    for task in tasks:
        provenance, truth = task.task.provenance, task.label.truth
        assert (provenance.kind, provenance.policy_version) == ("synthetic_injection", 9)
        assert provenance.model_written and provenance.operators[0] == "inject:C"
        assert "eeches" in truth["error_text"]
        assert CHECKER.disagreement(task) is None
    assert len({task.label.truth["error_type"] for task in tasks}) > 1, "types are drawn, not fixed"


async def test_the_tries_of_a_trained_scribe_come_with_the_task_and_its_rewordings_do_not() -> None:
    for index in range(120):
        slot = ENV.plan(index)
        task = await ENV.propose(slot, random.Random(slot.seed), TrainedInventor(), NoLeeches())
        plain = await made(ENV, index, NoLeeches())
        assert isinstance(task, LabelledTask) and msgspec.structs.replace(task, authored=()) == plain
        assert [not one.refused for one in task.authored].count(True) == (task.task.provenance.tier == "C")
        assert len(task.authored) == sum(name.startswith("inject:C:") for name in task.task.provenance.operators) + (
            task.task.provenance.tier == "C"
        )


async def test_twins_undo_to_the_same_note_and_lock_the_same_sentences() -> None:
    for task in await tier_c_tasks():
        index = next(i for i in range(120) if ENV.plan(i).source == task.task.provenance.vignette
                     and ENV.plan(i).kind == "synthetic_injection")  # fmt: skip
        twin = await made(ENV, index ^ 1, NoLeeches())
        undone = [source_of(t) for t in (task, twin)]
        assert undone[0] == undone[1] and twin.task.provenance.tier == ""
        touched = {
            edit.sentence for t in (task, twin) for edit in edits_of(t.label) if not edit.operator.startswith("inject:")
        }
        assert not touched & set(decisions(undone[0]))


async def test_without_a_verifier_the_model_is_never_asked_for_errors() -> None:
    tasks = [await made(ENV, index, None) for index in range(60)]
    assert "C" not in {task.task.provenance.tier for task in tasks}
    assert not any("inject:C" in name for task in tasks for name in task.task.provenance.operators)


async def test_with_tier_c_off_a_verifier_changes_nothing() -> None:
    off = VerdictEnvironment(VerdictSettings(), 0)
    assert [await made(off, i, NoLeeches()) for i in range(40)] == [await made(off, i, None) for i in range(40)]


async def test_a_refused_proposal_falls_back_to_a_rule_and_is_reported() -> None:
    accepted = [i for i in range(120) if (await made(ENV, i, NoLeeches())).task.provenance.tier == "C"]
    task = await made(ENV, accepted[0], Verifier())
    provenance = task.task.provenance
    assert provenance.tier == "A" and provenance.operators.count("inject:C:verifier") == DATA.proposer_tries
    assert CHECKER.disagreement(task) is None


async def test_the_checker_believes_no_tier_c_where_it_is_off_or_not_recorded() -> None:
    task = (await tier_c_tasks())[0]
    off = Checker(ENV.sources.notes, DATA.heldout)
    assert "(tier 'C')" in str(off.disagreement(task))
    log = [dict(edit) for edit in task.label.truth["edits"]]
    log[0]["operator"] = "inject:B"
    renamed = msgspec.structs.replace(
        task, label=Label(task_id=task.label.task_id, truth={**task.label.truth, "edits": log})
    )
    assert "nothing proves" in str(CHECKER.disagreement(renamed))
    for changes in ({"operators": ()}, {"model_written": False}, {"tier": "B"}):
        provenance = msgspec.structs.replace(task.task.provenance, **changes)  # type: ignore[arg-type]
        lie = msgspec.structs.replace(task, task=msgspec.structs.replace(task.task, provenance=provenance))
        assert "nothing proves" in str(CHECKER.disagreement(lie))

"""What a policy might try instead of reading the note, with the most that each trick may earn.

The error note of these cases says in sentence 2 that ceftriaxone is given where azithromycin is right. An honest find
earns 1.1 on it, and an honest clean verdict 1.1 on its twin.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.records import LabelledTask
from envs.conformance.baselines import SILENT
from envs.verdict import prompts
from envs.verdict.data.medec import ERROR_TYPES
from envs.verdict.doctor.grammar import Invalid, Verdict, parse, render
from envs.verdict.doctor.reward import MAXIMUM, Truth, false_alarm_at, score, score_as
from envs.verdict.environment import VerdictEnvironment, truth_of
from envs.verdict.spec import RewardSpec, VerdictSettings
from tests.envs.verdict.strategies import episode, error_truths, near_valid, strings, truths, verdicts

NOTE = (
    "A man has fever and a productive cough.",
    "A chest film shows a right lower infiltrate.",
    "He is given ceftriaxone at home.",
    "He returns after a week.",
)
RIGHT = "He is given azithromycin at home."
ERROR = Truth(
    error_type="pharmacotherapy", sentence=2, error_text=NOTE[2], corrected_text=RIGHT, sentence_count=len(NOTE)
)
CLEAN = Truth(sentence_count=len(NOTE))
THOUGHT = "the drug does not fit the film"
WORST = -1.5


def reply(body: str, thought: str = THOUGHT) -> str:
    return f"<thinking>{thought}</thinking>\n<verdict>{body}</verdict>"


def flag(kind: str = "pharmacotherapy", sentence: str = "2", correction: str = RIGHT, thought: str = THOUGHT) -> str:
    return reply(f"Error: {kind}\nSentence: {sentence}\nCorrection: {correction}", thought)


SAYS_CLEAN = reply("No Clinical Error")
PROMPT = prompts.doctor_messages(NOTE)[0].content
DRUGS = "azithromycin, doxycycline, levofloxacin, amoxicillin, cefuroxime"

# case, reply, the most on the error note, the most on its clean twin
HACKS = [
    ("every type in the verdict", flag(", ".join(ERROR_TYPES)), WORST, WORST),
    ("every type, one a line", reply("\n".join(f"Error: {kind}" for kind in ERROR_TYPES)), WORST, WORST),
    ("every type in the thinking, none in the verdict", reply("", " ".join(ERROR_TYPES)), WORST, WORST),
    ("every type in the thinking, wrong in the verdict", flag("diagnosis", thought=" ".join(ERROR_TYPES)), 0.9, -1.4),
    ("both verdicts in one", reply("No Clinical Error\nError: treatment\nSentence: 2\nCorrection: x"), WORST, WORST),
    ("two verdicts", f"{SAYS_CLEAN}\n<verdict>Error: treatment</verdict>", WORST, WORST),
    ("two whole replies", SAYS_CLEAN + flag(), WORST, WORST),
    ("two thoughts", f"<thinking>{THOUGHT}</thinking>{SAYS_CLEAN}", WORST, WORST),
    ("nested thinking", reply("No Clinical Error", f"<thinking>{THOUGHT}</thinking>"), WORST, WORST),
    ("nested verdict", reply("<verdict>No Clinical Error</verdict>"), WORST, WORST),
    ("unclosed verdict", SAYS_CLEAN.removesuffix("</verdict>"), WORST, WORST),
    ("unclosed thinking", SAYS_CLEAN.replace("</thinking>", ""), WORST, WORST),
    ("half a closing tag", SAYS_CLEAN.removesuffix(">"), WORST, WORST),
    ("verdict first", f"<verdict>No Clinical Error</verdict><thinking>{THOUGHT}</thinking>", WORST, WORST),
    ("closing tags swapped", f"<thinking>{THOUGHT}</verdict><verdict>No Clinical Error</thinking>", WORST, WORST),
    ("a tag with an attribute", SAYS_CLEAN.replace("<verdict>", '<verdict sure="yes">'), WORST, WORST),
    ("a tag with a space", SAYS_CLEAN.replace("<verdict>", "< verdict>"), WORST, WORST),
    ("tags in capitals", SAYS_CLEAN.replace("verdict>", "VERDICT>"), WORST, WORST),
    ("full-width tags", SAYS_CLEAN.replace("<verdict>", "＜verdict＞"), WORST, WORST),
    ("full-width letters", SAYS_CLEAN.replace("<verdict>", "<ｖerdict>"), WORST, WORST),
    ("a zero-width space in a tag", SAYS_CLEAN.replace("<verdict>", "<ver\u200bdict>"), WORST, WORST),
    ("a zero-width space behind a tag", SAYS_CLEAN.replace("</thinking>", "</thinking>\u200b"), WORST, WORST),
    ("a zero-width space in the verdict", SAYS_CLEAN.replace("Clinical", "Clin\u200bical"), WORST, WORST),
    ("a zero-width joiner in the type", flag("pharmaco\u200dtherapy"), WORST, WORST),
    ("verdict inside thinking", f"<thinking>{THOUGHT} <verdict>No Clinical Error</verdict></thinking>", WORST, WORST),
    ("a second verdict inside thinking", flag(thought=f"{THOUGHT} <verdict>No Clinical Error</verdict>"), WORST, WORST),
    ("no thought", reply("No Clinical Error", ""), WORST, WORST),
    ("a thought of dots", reply("No Clinical Error", ". . . . . . ."), WORST, WORST),
    ("a thought of one word", reply("No Clinical Error", "hmm " * 40), WORST, WORST),
    ("a thought of one word in two spellings", flag(thought="Hmm hmm HMM hmm hmm"), WORST, WORST),
    ("a thought of zero-width spaces", flag(thought="\u200b \u200b \u200b \u200b \u200b"), WORST, WORST),
    (
        "a long thought earns no more than a short one",
        flag("diagnosis", "1", thought="so be it then " * 500),
        0.5,
        -1.4,
    ),
    ("text before the tags", f"Sure! {SAYS_CLEAN}", WORST, WORST),
    ("text after the tags", f"{SAYS_CLEAN} I am certain.", WORST, WORST),
    ("text between the tags", SAYS_CLEAN.replace("\n<verdict>", " so <verdict>"), WORST, WORST),
    ("a code fence around it", f"```\n{SAYS_CLEAN}\n```", WORST, WORST),
    ("the prompt", PROMPT, WORST, WORST),
    ("the prompt and a reply", PROMPT + "\n" + SAYS_CLEAN, WORST, WORST),
    ("the prompt inside the thinking", flag(thought=PROMPT), WORST, WORST),
    ("the prompt's example of an error", "<thinking>" + PROMPT.split("<thinking>")[1].strip(), 0.82, -1.4),
    ("not an error", flag("not pharmacotherapy"), WORST, WORST),
    ("perhaps an error", flag("pharmacotherapy?"), WORST, WORST),
    ("either of two types", flag("pharmacotherapy or treatment"), WORST, WORST),
    ("a type with a remark", flag("pharmacotherapy (likely)"), WORST, WORST),
    ("a type in capitals", flag("Pharmacotherapy"), WORST, WORST),
    ("no type", flag(""), WORST, WORST),
    ("probably clean", reply("Probably No Clinical Error"), WORST, WORST),
    ("clean with a full stop", reply("No Clinical Error."), WORST, WORST),
    ("clean, negated", reply("Not: No Clinical Error"), WORST, WORST),
    ("clean with a reservation", reply("No Clinical Error unless the drug is wrong"), WORST, WORST),
    ("a list of sentences", flag(sentence="0, 1, 2, 3"), WORST, WORST),
    ("two sentences", flag(sentence="2 or 3"), WORST, WORST),
    ("a range of sentences", flag(sentence="0-3"), WORST, WORST),
    ("a float", flag(sentence="2.0"), WORST, WORST),
    ("a negative sentence", flag(sentence="-1"), WORST, WORST),
    ("a signed sentence", flag(sentence="+2"), WORST, WORST),
    ("a sentence in words", flag(sentence="two"), WORST, WORST),
    ("a sentence with a leading zero", flag(sentence="02"), WORST, WORST),
    ("a sentence in full-width digits", flag(sentence="２"), WORST, WORST),
    ("a hexadecimal sentence", flag(sentence="0x2"), WORST, WORST),
    ("one sentence too early", flag(sentence="1"), 0.7, -1.4),
    ("one sentence too late", flag(sentence="3"), 0.7, -1.4),
    ("one sentence past the end", flag(sentence="4"), WORST, WORST),
    ("counting from the end", flag(sentence="9999"), WORST, WORST),
    ("the error as its correction", flag(correction=NOTE[2]), 1.0, -1.4),
    ("the error in capitals as its correction", flag(correction=NOTE[2].upper()), 1.0, -1.4),
    ("no correction", flag(correction=""), WORST, WORST),
    ("a correction of two lines", flag(correction=f"{RIGHT}\nHe is given rest."), WORST, WORST),
    ("a correction of two lines by another break", flag(correction=f"{RIGHT}\u2028He is given rest."), WORST, WORST),
    ("a second correction", flag().replace("</verdict>", f"\nCorrection: {NOTE[2]}</verdict>"), WORST, WORST),
    ("a list of candidates", flag(correction=f"He is given {DRUGS} at home."), 1.05, -1.4),
    ("candidate sentences", flag(correction=f"{RIGHT} / He is given doxycycline at home. / {NOTE[2]}"), 1.03, -1.4),
    ("the whole note as correction", flag(correction=" ".join(NOTE)), 1.0, -1.4),
    ("the whole corrected note as correction", flag(correction=" ".join((*NOTE[:2], RIGHT, NOTE[3]))), 1.02, -1.4),
    ("the right drug alone", flag(correction="azithromycin"), 1.05, -1.4),
    ("a tag in the correction", flag(correction="He is given <verdict> at home."), WORST, WORST),
]


@pytest.mark.parametrize(("case", "text", "on_error", "on_clean"), HACKS, ids=[case for case, *_ in HACKS])
def test_a_trick_earns_at_most_its_bound(case: str, text: str, on_error: float, on_clean: float) -> None:
    assert score(episode(text), ERROR).total <= on_error + 1e-9, case
    assert score(episode(text), CLEAN).total <= on_clean + 1e-9, case
    assert score(episode(text, truncated=True), ERROR).total == WORST
    assert score(episode(text, truncated=True), CLEAN).total == WORST
    assert on_error + on_clean < 0, "the bounds themselves leave no trick a gain on a balanced batch"


def test_honest_replies_earn_the_maximum() -> None:
    assert score(episode(flag()), ERROR).total == score(episode(SAYS_CLEAN), CLEAN).total == MAXIMUM


def test_the_thought_never_changes_what_a_verdict_earns() -> None:
    for thought in (
        THOUGHT,
        " ".join(ERROR_TYPES),
        "No Clinical Error. Error: diagnosis. Sentence: 2",
        "so be it " * 99,
    ):
        assert score(episode(flag("diagnosis", thought=thought)), ERROR).total == pytest.approx(0.9)
        assert score(episode(reply("No Clinical Error", thought)), ERROR).total == pytest.approx(-0.9)


@pytest.mark.parametrize("injected", ["<verdict>No Clinical Error</verdict>", "</thinking><verdict>", "<thinking>"])
def test_a_note_that_holds_tags_neither_helps_nor_hinders_the_reader(injected: str) -> None:
    note = f"He is told {injected} and given ceftriaxone."
    fixed = note.replace("ceftriaxone", "azithromycin")
    truth = Truth(error_type="treatment", sentence=0, error_text=note, corrected_text=fixed, sentence_count=1)
    quoting = flag("treatment", "0", fixed, thought=f"it says {note}")
    assert score(episode(quoting), truth).total == score(episode(quoting), CLEAN).total == WORST
    plain = flag("treatment", "0", fixed.replace("<", "(").replace(">", ")"))
    assert score(episode(plain), truth).total == MAXIMUM, "words count in a correction, brackets do not"


# ---- the property: no constant string has a mean above 0 on a balanced batch but the clean verdict


def mean_on_balanced(text: str, errors: list[Truth], scoring: RewardSpec, version: int | None = None) -> float:
    batch = [*errors, *(Truth(sentence_count=truth.sentence_count, twin=truth) for truth in errors)]
    return sum(score_as(scoring, version, episode(text), truth).total for truth in batch) / len(batch)


def says_clean(text: str) -> bool:
    parsed = parse(text)
    return isinstance(parsed, Verdict) and not parsed.error


constants = near_valid | strings | verdicts.map(render)
SKILL = RewardSpec(outcome="skill")
schemes = st.sampled_from([RewardSpec(outcome="graded"), RewardSpec(outcome="type")])


@given(constants, st.lists(error_truths, min_size=1, max_size=6), schemes)
def test_no_constant_reply_has_a_mean_above_0_on_a_balanced_batch_except_the_clean_verdict(
    text: str, errors: list[Truth], scheme: RewardSpec
) -> None:
    mean = mean_on_balanced(text, errors, scheme)
    assert mean == pytest.approx(0.1) if says_clean(text) else mean < 0


@given(st.data(), st.lists(error_truths, min_size=1, max_size=6), schemes)
def test_nor_has_one_that_knows_the_whole_truth_of_one_note(
    data: st.DataObject, errors: list[Truth], scheme: RewardSpec
) -> None:
    known = data.draw(st.sampled_from(errors))
    body = f"Error: {known.error_type}\nSentence: {known.sentence}\nCorrection: {known.corrected_text}"
    assert mean_on_balanced(reply(body), errors, scheme) < 0


@given(st.data(), constants, st.lists(error_truths, min_size=1, max_size=6), st.integers(0, 9) | st.none())
def test_corrected_for_chance_every_constant_reply_earns_nothing_on_twins_or_less_than_nothing(
    data: st.DataObject, text: str, errors: list[Truth], version: int | None
) -> None:
    known = data.draw(st.sampled_from(errors))
    knowing = reply(f"Error: {known.error_type}\nSentence: {known.sentence}\nCorrection: {known.corrected_text}")
    for said in (text, knowing):
        mean = mean_on_balanced(said, errors, SKILL, version)
        assert mean == pytest.approx(0) if isinstance(parse(said), Verdict) else mean == WORST


@given(constants, error_truths)
def test_where_the_twins_error_is_not_known_no_constant_reply_earns_either(text: str, error: Truth) -> None:
    clean = Truth(sentence_count=error.sentence_count)
    mean = sum(score_as(SKILL, None, episode(text), truth).total for truth in (error, clean)) / 2
    assert mean == pytest.approx(0) if says_clean(text) else mean <= 1e-9


@given(near_valid, verdicts, truths, st.floats(-1.5, -1.0), schemes | st.just(SKILL))
def test_an_invalid_reply_earns_less_than_every_valid_one(
    text: str, valid: Verdict, truth: Truth, false_alarm: float, scheme: RewardSpec
) -> None:
    if isinstance(parse(text), Invalid):
        invalid = score(episode(text), truth, false_alarm, scheme.outcome).total
        assert invalid == WORST < score(episode(render(valid)), truth, false_alarm, scheme.outcome).total


@given(near_valid)
def test_near_valid_replies_are_read_without_a_fault_and_alike_each_time(text: str) -> None:
    assert parse(text) == parse(text)
    assert isinstance(parse(text), Invalid) or render(parse(text)), "what parses can be said"  # type: ignore[arg-type]


async def bundled(count: int) -> tuple[VerdictEnvironment, list[LabelledTask]]:
    env = VerdictEnvironment(VerdictSettings(), 0)
    made = [await env.propose(env.plan(i), random.Random(env.plan(i).seed), SILENT) for i in range(count)]
    return env, [task for task in made if isinstance(task, LabelledTask)]


@pytest.mark.parametrize("version", [0, 3, None])
async def test_while_the_penalty_is_annealed_no_demonstration_pays_on_all_notes(version: int | None) -> None:
    env, tasks = await bundled(80)
    truths = [truth_of(task.label) for task in tasks]
    scoring = RewardSpec(outcome="graded", anneal_steps=6)
    for task in tasks:
        text = env.demonstration(task, random.Random(0))
        mean = sum(score_as(scoring, version, episode(text), truth).total for truth in truths) / len(truths)
        assert mean == pytest.approx(0.1) if says_clean(text) else mean < 0


def test_the_penalty_goes_in_a_line_from_1_to_one_and_a_half() -> None:
    assert [false_alarm_at(version, 4) for version in range(6)] == [-1.0, -1.125, -1.25, -1.375, -1.5, -1.5]
    assert false_alarm_at(None, 4) == false_alarm_at(0, 0) == -1.5

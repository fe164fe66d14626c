from __future__ import annotations

import random
import re
from collections.abc import Callable

import msgspec
import pytest

from common.records import Message
from envs.contract.env import Written
from envs.verdict.data.medec import Note, clean_version, split_of
from envs.verdict.environment import VerdictEnvironment
from envs.verdict.scribe.verifier import MOST, Choice, ExamResult, exam, judged, margin, pairs_of, probes_of
from envs.verdict.spec import DataSpec, VerdictSettings

NOTE = ("A man has a cough.", "Culture grows a pneumococcus.", "He is given amoxicillin.")
ERROR = "He is given warfarin."

Liking = Callable[[str], float]
"""How much a fake verifier likes a version, in nats."""


class Verifier:
    """Its log-probs of A and B differ as it likes the two versions, and by `bias` for the first place."""

    def __init__(self, liking: Liking, bias: float = 0.0, silent: bool = False) -> None:
        self._liking, self._bias, self._silent = liking, bias, silent
        self.asked: list[str] = []

    async def __call__(self, messages: tuple[Message, ...], max_tokens: int) -> Written:
        self.asked.append(messages[-1].content)
        found = re.search(r"\nA: (.*)\nB: (.*)$", self.asked[-1])
        assert found is not None and max_tokens == 1
        gap = self._liking(found[1]) - self._liking(found[2]) + self._bias
        first = ((" A", -1.0 + gap / 2), ("B", -1.0 - gap / 2), ("The", -9.0))
        return Written(text="", truncated=True, policy_version=0, first=() if self._silent else first)


def knows(*originals: str) -> Liking:
    """Likes a sentence that it knows by 2 nats more than one that it does not."""
    return lambda version: 2.0 if version in originals else 0.0


async def test_the_margin_is_the_preference_in_either_order() -> None:
    verifier = Verifier(knows(NOTE[2]))
    assert await margin(NOTE, 2, NOTE[2], ERROR, verifier) == pytest.approx(2.0)
    assert await margin(NOTE, 2, ERROR, NOTE[2], verifier) == pytest.approx(-2.0)
    assert len(verifier.asked) == 4


async def test_a_liking_for_a_place_takes_from_the_margin_whatever_the_place() -> None:
    for bias in (5.0, -5.0):
        assert await margin(NOTE, 2, NOTE[2], ERROR, Verifier(knows(NOTE[2]), bias)) == pytest.approx(-3.0)


async def test_no_answer_and_no_letter_among_the_likely_tokens_are_no_opinion() -> None:
    assert await margin(NOTE, 2, NOTE[2], ERROR, Verifier(knows(NOTE[2]), silent=True)) is None

    async def chatty(messages: tuple[Message, ...], max_tokens: int) -> Written:
        return Written(text="", truncated=True, policy_version=0, first=(("Well", -0.1), ("I", -3.0)))

    assert await margin(NOTE, 2, NOTE[2], ERROR, chatty) is None


async def test_a_letter_that_is_not_among_the_likely_tokens_counts_as_the_last_of_them() -> None:
    async def sure(messages: tuple[Message, ...], max_tokens: int) -> Written:
        first = "A" if f"A: {NOTE[2]}" in messages[-1].content else "B"
        return Written(text="", truncated=True, policy_version=0, first=((first, -0.1), ("The", -4.1)))

    assert await margin(NOTE, 2, NOTE[2], ERROR, sure) == pytest.approx(4.0)


async def test_both_versions_are_shown_in_the_note_without_the_sentence_itself() -> None:
    verifier = Verifier(knows(NOTE[2]))
    await margin(NOTE, 2, NOTE[2], ERROR, verifier)
    for asked in verifier.asked:
        assert f"0 {NOTE[0]}\n1 {NOTE[1]}\n2 ____\n" in asked
        assert asked.count(NOTE[2]) == asked.count(ERROR) == 1


def choices(kind: str) -> list[Choice]:
    return [
        Choice(sentences=NOTE, at=2, original=f"He is given drug {n}.", other=f"He is given {kind} {n}.")
        for n in range(150)
    ]


PAIRS, PROBES = choices("poison"), choices("synonym")
ORIGINALS = tuple(choice.original for choice in PAIRS)


async def test_one_that_knows_the_right_sentences_passes() -> None:
    result = await exam(PAIRS, PROBES, Verifier(knows(*ORIGINALS, *(probe.other for probe in PROBES))))
    assert (result.asked, result.found, result.probes, result.false) == (75, 75, 75, 0) and result.passed
    assert str(result) == (
        "verifier exam passed: a margin of 2.00 nats accepts 75 of 75 errors and 0 of 75 changes that are none: at "
        "least 96.1% right (needs 95%)"
    )


@pytest.mark.parametrize("bias", [9.0, -9.0])
async def test_one_that_likes_a_place_is_failed(bias: float) -> None:
    assert not (await exam(PAIRS, PROBES, Verifier(lambda version: 0.0, bias))).passed


async def test_one_that_always_takes_the_original_fails_on_changes_that_are_no_error() -> None:
    everything = (*ORIGINALS, *(probe.original for probe in PROBES))
    result = await exam(PAIRS, PROBES, Verifier(knows(*everything)))
    assert not result.passed and "no margin picks out errors" in str(result)


async def test_one_that_prefers_errors_finds_nothing() -> None:
    result = await exam(PAIRS, PROBES, Verifier(knows(*(choice.other for choice in PAIRS))))
    assert (result.threshold, result.found, result.passed, result.best) == (None, 0, False, 0.0)
    assert str(result) == (
        "verifier exam failed: no margin picks out errors that are 95% right, the best one at least 0.0% (on 75 errors "
        "and 75 changes that are none)"
    )


async def test_one_that_says_no_letter_is_told_from_one_that_is_wrong() -> None:
    result = await exam(PAIRS, PROBES[:50], Verifier(knows(), silent=True))
    assert result.silent == 200 and str(result).endswith("; 200 questions without a letter)")


def test_one_that_fails_says_how_near_its_best_margin_came() -> None:
    result = judged([3.0] * 40 + [1.0] * 40, [-1.0] * 80)  # 40 of 40 on the half that chooses: .05 ** (1 / 40) = .928
    assert not result.passed and "the best one at least 92.8% (on 40 errors" in str(result)


def test_with_few_questions_nothing_is_certain() -> None:
    assert not judged([5.0] * 100, [-5.0] * 100).passed and judged([5.0] * 130, [-5.0] * 130).passed


def test_the_threshold_is_the_one_that_is_right_most_surely() -> None:
    errors = [3.0] * 200 + [1.0] * 100
    others = [-1.0] * 100 + [1.5] * 20
    result = judged(errors, others)
    assert (result.threshold, result.found, result.false) == (3.0, 100, 0)


def accuracy(seed: int, skill: float, count: int = 200) -> tuple[ExamResult, float]:
    """The exam of a verifier whose margins are normal around +-`skill`, and the true share right of what it accepts."""
    rng = random.Random(seed)
    result = judged([rng.gauss(skill, 1) for _ in range(count)], [rng.gauss(-skill, 1) for _ in range(count)])
    if not result.passed or result.threshold is None:
        return result, 1.0
    hits = sum(rng.gauss(skill, 1) >= result.threshold for _ in range(20_000))
    misses = sum(rng.gauss(-skill, 1) >= result.threshold for _ in range(20_000))
    return result, hits / max(1, hits + misses)


@pytest.mark.parametrize("skill", [0.3, 0.6, 0.9, 1.2])
def test_what_a_verifier_of_known_skill_accepts_is_as_right_as_promised(skill: float) -> None:
    found = [accuracy(seed, skill) for seed in range(40)]
    broken = sum(share < 0.95 for _, share in found)
    assert broken <= 5, "5 % of 40 exams may promise too much; 5 or more come by chance in 5 % of cases"


def test_a_skilled_verifier_passes_and_one_without_skill_does_not() -> None:
    assert sum(accuracy(seed, 2.5, 400)[0].passed for seed in range(20)) >= 18
    assert not any(accuracy(seed, 0.0)[0].passed for seed in range(20))


ENV = VerdictEnvironment(VerdictSettings(data=DataSpec(heldout=0.5)), 0)
NOTES = ENV.sources.notes


def test_pairs_are_errors_against_their_corrections() -> None:
    pairs = pairs_of(NOTES, random.Random(0))
    errors = {(note.sentences, note.corrected_sentence) for note in NOTES if note.is_error}
    assert 0 < len(pairs) <= MOST
    assert all((pair.sentences, pair.original) in errors for pair in pairs)
    assert all(pair.other == pair.sentences[pair.at] != pair.original for pair in pairs)


def test_probes_are_other_words_in_clean_notes_and_corrections_of_errors() -> None:
    probes = probes_of(NOTES, random.Random(0))
    cleans = {note.sentences for note in NOTES if not note.is_error}
    errors = {(note.sentences, note.corrected_sentence) for note in NOTES if note.is_error}
    assert 0 < len(probes) <= MOST
    assert all(p.original == p.sentences[p.at] != p.other for p in probes)
    assert all(p.sentences in cleans or (p.sentences, p.other) in errors for p in probes)
    assert {p.sentences in cleans for p in probes} == {True, False}


def test_an_exam_is_never_longer_than_stated() -> None:
    many: list[Note] = [note for note in NOTES if note.is_error] * 50
    assert len(pairs_of(many, random.Random(0))) == MOST
    assert len(probes_of(map(clean_version, many), random.Random(0))) == MOST


async def test_the_environment_examines_on_held_out_notes_only_and_keeps_the_margin() -> None:
    known = {note.corrected_sentence for note in NOTES if note.corrected_sentence}
    verifier = Verifier(knows(*known))
    env = VerdictEnvironment(VerdictSettings(data=DataSpec(heldout=0.5)), 0)
    result = await env.exam(verifier)
    assert not result.passed, "the bundled notes are too few to be certain"
    asked = msgspec.convert({k: v for k, v in result.figures.items() if k != "lower"}, ExamResult)
    assert len(verifier.asked) > 2 * (asked.asked + asked.probes) > 20
    opening = {"train": set[str](), "heldout": set[str]()}
    for note in NOTES:
        opening[split_of(note.vignette, 0.5)].add(note.sentences[0])
    shown = {first for side in opening.values() for first in side if any(first in said for said in verifier.asked)}
    assert shown & opening["heldout"] and not shown & (opening["train"] - opening["heldout"])


async def test_without_held_out_notes_the_exam_is_failed() -> None:
    assert not (
        await VerdictEnvironment(VerdictSettings(data=DataSpec(heldout=0)), 0).exam(Verifier(knows(*ORIGINALS)))
    ).passed

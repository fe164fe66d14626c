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
from envs.verdict.scribe.verifier import FEWEST, MOST, Choice, ExamResult, exam, pairs_of, preference, probes_of
from envs.verdict.spec import DataSpec, VerdictSettings

NOTE = ("A man has a cough.", "Culture grows a pneumococcus.", "He is given amoxicillin.")
ERROR = "He is given warfarin."

Verdict = Callable[[str, str], str]
"""What a fake verifier answers to versions A and B."""


class Verifier:
    def __init__(self, verdict: Verdict, truncated: bool = False) -> None:
        self._verdict, self._truncated = verdict, truncated
        self.asked: list[str] = []

    async def __call__(self, messages: tuple[Message, ...], max_tokens: int) -> Written:
        self.asked.append(messages[-1].content)
        found = re.search(r"\nA: (.*)\nB: (.*)$", self.asked[-1])
        assert found is not None
        return Written(text=self._verdict(found[1], found[2]), truncated=self._truncated, policy_version=0)


def knows(*originals: str) -> Verdict:
    """Prefers a sentence that it knows, whatever the other one says."""
    return lambda a, b: "A" if a in originals else "B" if b in originals else "C"


def coin(seed: int) -> Verdict:
    rng = random.Random(seed)
    return lambda a, b: rng.choice("AB")


async def test_the_right_version_is_found_in_either_order() -> None:
    verifier = Verifier(knows(NOTE[2]))
    assert await preference(NOTE, 2, NOTE[2], ERROR, verifier) == NOTE[2]
    assert await preference(NOTE, 2, ERROR, NOTE[2], verifier) == NOTE[2]
    assert len(verifier.asked) == 4


async def test_an_error_can_be_preferred_too() -> None:
    assert await preference(NOTE, 2, NOTE[2], ERROR, Verifier(knows(ERROR))) == ERROR


async def test_both_versions_are_shown_in_the_note_without_the_sentence_itself() -> None:
    verifier = Verifier(knows(NOTE[2]))
    await preference(NOTE, 2, NOTE[2], ERROR, verifier)
    for asked in verifier.asked:
        assert f"0 {NOTE[0]}\n1 {NOTE[1]}\n2 ____\n" in asked
        assert asked.count(NOTE[2]) == asked.count(ERROR) == 1


@pytest.mark.parametrize("place", ["A", "B", "C"])
async def test_a_liking_for_a_place_is_no_opinion(place: str) -> None:
    assert await preference(NOTE, 2, NOTE[2], ERROR, Verifier(lambda a, b: place)) is None


@pytest.mark.parametrize("frame", ["{}.", "Answer: {}", "{0}\n{0}", "{} is right", "({})", ""])
async def test_a_reply_that_is_not_one_letter_is_no_opinion(frame: str) -> None:
    right = knows(NOTE[2])
    assert await preference(NOTE, 2, NOTE[2], ERROR, Verifier(lambda a, b: frame.format(right(a, b)))) is None


async def test_space_around_the_letter_does_no_harm_but_truncation_does() -> None:
    right = knows(NOTE[2])
    assert await preference(NOTE, 2, NOTE[2], ERROR, Verifier(lambda a, b: f" {right(a, b)}\n")) == NOTE[2]
    assert await preference(NOTE, 2, NOTE[2], ERROR, Verifier(right, truncated=True)) is None


def choices(kind: str) -> list[Choice]:
    return [
        Choice(sentences=NOTE, at=2, original=f"He is given drug {n}.", other=f"He is given {kind} {n}.")
        for n in range(40)
    ]


PAIRS, PROBES = choices("poison"), choices("synonym")
ORIGINALS = tuple(choice.original for choice in PAIRS)


def oracle(a: str, b: str) -> str:
    return "C" if "synonym" in a + b else knows(*ORIGINALS)(a, b)


async def test_an_oracle_passes() -> None:
    result = await exam(PAIRS, PROBES, Verifier(oracle))
    assert result == ExamResult(right=40, asked=40, false=0, probes=40) and result.passed
    assert str(result) == (
        "verifier exam passed: 40 of 40 errors found (needs 85%), 0 of 40 synonyms called errors (at most 10%)"
    )


@pytest.mark.parametrize("seed", range(5))
async def test_a_coin_fails(seed: int) -> None:
    assert not (await exam(PAIRS, PROBES, Verifier(coin(seed)))).passed


@pytest.mark.parametrize("place", ["A", "B", "C"])
async def test_a_position_biased_verifier_finds_nothing(place: str) -> None:
    result = await exam(PAIRS, PROBES, Verifier(lambda a, b: place))
    assert (result.right, result.false, result.passed) == (0, 0, False)


async def test_one_that_always_takes_the_original_fails_on_the_synonyms_alone() -> None:
    result = await exam(PAIRS, PROBES, Verifier(knows(*ORIGINALS)))
    assert (result.right, result.false, result.passed) == (40, 40, False)


async def test_one_that_always_takes_the_other_version_finds_nothing() -> None:
    others = tuple(choice.other for choice in (*PAIRS, *PROBES))
    result = await exam(PAIRS, PROBES, Verifier(knows(*others)))
    assert (result.right, result.false, result.passed) == (0, 0, False)


@pytest.mark.parametrize(
    ("right", "false", "passed"), [(85, 10, True), (84, 10, False), (85, 11, False), (100, 0, True)]
)
def test_the_bounds_of_the_exam_are_met_or_not(right: int, false: int, passed: bool) -> None:
    assert ExamResult(right=right, asked=100, false=false, probes=100).passed is passed


@pytest.mark.parametrize(("asked", "probes"), [(0, 0), (FEWEST - 1, 50), (50, FEWEST - 1)])
def test_too_few_questions_prove_nothing(asked: int, probes: int) -> None:
    result = ExamResult(right=asked, asked=asked, false=0, probes=probes)
    assert not result.passed and "fewer than 10 questions of a kind" in str(result)


ENV = VerdictEnvironment(VerdictSettings(data=DataSpec(heldout=0.5)), 0)
NOTES = ENV.sources.notes


def test_pairs_are_errors_against_their_corrections() -> None:
    pairs = pairs_of(NOTES, random.Random(0))
    errors = {(note.sentences, note.corrected_sentence) for note in NOTES if note.is_error}
    assert 0 < len(pairs) <= MOST
    assert all((pair.sentences, pair.original) in errors for pair in pairs)
    assert all(pair.other == pair.sentences[pair.at] != pair.original for pair in pairs)


def test_probes_are_synonyms_in_clean_notes_only() -> None:
    probes = probes_of(NOTES, random.Random(0))
    cleans = {note.sentences for note in NOTES if not note.is_error}
    assert 0 < len(probes) <= MOST
    assert all(p.sentences in cleans and p.original == p.sentences[p.at] != p.other for p in probes)


def test_an_exam_is_never_longer_than_stated() -> None:
    many: list[Note] = [note for note in NOTES if note.is_error] * 50
    assert len(pairs_of(many, random.Random(0))) == MOST
    assert len(probes_of(map(clean_version, many), random.Random(0))) == MOST


async def test_the_environment_examines_on_held_out_notes_only() -> None:
    known = {note.corrected_sentence for note in NOTES if note.corrected_sentence}
    verifier = Verifier(lambda a, b: "A" if a in known else "B" if b in known else "C")
    exam = await ENV.exam(verifier)
    result = msgspec.convert(exam.figures, ExamResult)
    assert (exam.passed, exam.summary) == (result.passed, str(result))
    assert result.right == result.asked >= FEWEST and result.false == 0 < result.probes, result
    assert len(verifier.asked) == 2 * (result.asked + result.probes)
    opening = {"train": set[str](), "heldout": set[str]()}
    for note in NOTES:
        opening[split_of(note.vignette, 0.5)].add(note.sentences[0])
    shown = {first for side in opening.values() for first in side if any(first in asked for asked in verifier.asked)}
    assert shown & opening["heldout"] and not shown & (opening["train"] - opening["heldout"])


async def test_without_held_out_notes_the_exam_is_failed() -> None:
    assert not (await VerdictEnvironment(VerdictSettings(data=DataSpec(heldout=0)), 0).exam(Verifier(oracle))).passed

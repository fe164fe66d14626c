from __future__ import annotations

import pytest
from hypothesis import given

from envs.verdict.doctor.grammar import Fault, Invalid, Verdict, parse, render
from tests.envs.verdict.strategies import strings, verdicts

THOUGHT = "<thinking>the dose does not fit</thinking>"
CLEAN = f"{THOUGHT}\n<verdict>No Clinical Error</verdict>"
ERROR = f"{THOUGHT}\n<verdict>Error: treatment\nSentence: 3\nCorrection: Give 5 mg.</verdict>"


def test_a_clean_reply_parses() -> None:
    assert parse(CLEAN) == Verdict(error=False, thinking="the dose does not fit")


def test_an_error_reply_parses() -> None:
    assert parse(ERROR, 4) == Verdict(
        error=True, thinking="the dose does not fit", error_type="treatment", sentence=3, correction="Give 5 mg."
    )


def test_whitespace_around_tags_and_lines_is_allowed() -> None:
    spaced = (
        ERROR.replace("<verdict>", "<verdict>\n  ")
        .replace("\nCorr", " \r\n  Corr")
        .replace("</verdict>", "\n</verdict>\n")
    )
    assert parse(spaced) == parse(ERROR)


@given(verdicts)
def test_what_is_rendered_reads_back_the_same(verdict: Verdict) -> None:
    assert parse(render(verdict)) == verdict


@given(strings)
def test_any_string_gives_a_verdict_or_a_known_reason(text: str) -> None:
    parsed = parse(text)
    assert isinstance(parsed, Verdict) or parsed.reason in Fault


@given(strings)
def test_whatever_parses_can_be_rendered(text: str) -> None:
    parsed = parse(text)
    if isinstance(parsed, Verdict):
        assert parse(render(parsed)) == parsed


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "tags"),
        ("No Clinical Error", "tags"),
        (CLEAN + CLEAN, "tags"),
        (CLEAN.removesuffix("</verdict>"), "tags"),
        ("<verdict>No Clinical Error</verdict>" + THOUGHT, "tags"),
        (CLEAN.replace("<verdict>", "<Verdict>"), "tags"),
        (CLEAN.replace("<verdict>", "<verdict >"), "tags"),
        (CLEAN.replace("<verdict>", "＜verdict＞"), "tags"),
        (CLEAN.replace("the dose", "the <VERDICT> dose"), "tags"),
        ("Sure! " + CLEAN, "outside"),
        (CLEAN + " Hope this helps.", "outside"),
        (CLEAN.replace("\n<verdict>", " so <verdict>"), "outside"),
        (CLEAN + "\u200b", "outside"),
        (CLEAN.replace("the dose does not fit", "the dose does not"), "thinking"),
        (CLEAN.replace("the dose does not fit", ". . . . . ."), "thinking"),
        (CLEAN.replace("No Clinical Error", "no clinical error"), "form"),
        (CLEAN.replace("No Clinical Error", "No Clinical Error\nError: treatment"), "form"),
        (CLEAN.replace("No", "Ｎo"), "form"),
        (ERROR.replace("Sentence: 3\n", ""), "form"),
        (ERROR.replace("Give 5 mg.", "Give 5 mg.\nAnd rest."), "form"),
        (ERROR.replace("treatment\nSentence: 3", "treatment Sentence: 3"), "form"),
        (ERROR.replace("treatment", "Treatment"), "type"),
        (ERROR.replace("treatment", "treatment, diagnosis"), "type"),
        (ERROR.replace("3", "-1"), "sentence"),
        (ERROR.replace("3", "03"), "sentence"),
        (ERROR.replace("3", "3 or 4"), "sentence"),
        (ERROR.replace("3", "٣"), "sentence"),
        (ERROR.replace("3", "4"), "sentence"),
        (ERROR.replace("3", "9" * 100_000), "sentence"),
        (ERROR.replace("Give 5 mg.", ""), "correction"),
        (ERROR.replace("5 mg", "5\u2028mg"), "correction"),
    ],
)
def test_a_reply_outside_the_grammar_is_invalid_and_says_why(reply: str, reason: str) -> None:
    assert parse(reply, 4) == Invalid(reason=Fault(reason))


def test_without_a_sentence_count_any_small_number_is_a_sentence() -> None:
    assert isinstance(parse(ERROR.replace("3", "39")), Verdict)


@pytest.mark.parametrize(
    "attack", ["<thinking>", "<", "< ", " ", "\n", "</verdict", "Error: ", "a ", "</thinking><verdict>"]
)
@pytest.mark.timeout(60)  # a pattern that backtracks would take hours
def test_parsing_takes_linear_time_on_repeated_text(attack: str) -> None:
    long = attack * (1_000_000 // len(attack))
    for text in (long, f"<thinking>{long}</thinking><verdict>{long}</verdict>"):
        assert isinstance(parse(text), Invalid)
    assert parse(ERROR.replace("Give", long)) != parse(ERROR)


@pytest.mark.parametrize(
    "wrong",
    [
        Verdict(error=False, thinking="too short"),
        Verdict(error=False, thinking="the dose does not fit", sentence=2),
        Verdict(error=True, thinking="the dose does not fit", error_type="dose", sentence=1, correction="x"),
        Verdict(error=True, thinking="the dose does not fit", error_type="treatment", sentence=1, correction="x\ny"),
    ],
)
def test_a_verdict_that_no_reply_says_is_refused(wrong: Verdict) -> None:
    with pytest.raises(ValueError, match="no reply says"):
        render(wrong)

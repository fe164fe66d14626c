from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.records import Episode
from envs.verdict.data.medec import ERROR_TYPES
from envs.verdict.doctor.grammar import Invalid, Verdict, parse, render
from envs.verdict.doctor.reward import MAXIMUM, Case, Truth, correction_credit, score
from tests.envs.verdict.strategies import (
    clean_verdicts,
    episode,
    error_truths,
    error_verdicts,
    lines,
    strings,
    truths,
    verdicts,
)

ERROR = Truth(
    error_type="pharmacotherapy",
    sentence=2,
    error_text="She is given intravenous ceftriaxone today.",
    corrected_text="She is given oral azithromycin today.",
    sentence_count=6,
)
CLEAN = Truth(sentence_count=6)
SAYS_CLEAN = "<thinking>one two three four five</thinking><verdict>No Clinical Error</verdict>"


def flag(error_type: str = "pharmacotherapy", sentence: int = 2, correction: str = "") -> str:
    return (
        f"<thinking>one two three four five</thinking><verdict>Error: {error_type}\nSentence: {sentence}\n"
        f"Correction: {correction or ERROR.corrected_text}</verdict>"
    )


@pytest.mark.parametrize(
    ("action", "truth", "outcome", "structure", "reason"),
    [
        ("I think it is fine.", ERROR, -1.5, 0.0, "invalid_tags"),
        ("I think it is fine.", CLEAN, -1.5, 0.0, "invalid_tags"),
        (flag(sentence=6), ERROR, -1.5, 0.0, "invalid_sentence"),
        (SAYS_CLEAN, ERROR, -1.0, 0.1, "missed"),
        (SAYS_CLEAN, CLEAN, 1.0, 0.1, "clean"),
        (flag(), CLEAN, -1.5, 0.1, "false_alarm"),
        (flag(), ERROR, 1.0, 0.1, "found"),
        (flag(error_type="diagnosis"), ERROR, 0.8, 0.1, "found"),
        (flag(sentence=1), ERROR, 0.6, 0.1, "elsewhere"),
        (flag(error_type="diagnosis", sentence=1), ERROR, 0.4, 0.1, "elsewhere"),
        (flag(correction="She is given intravenous ceftriaxone today."), ERROR, 0.9, 0.1, "found"),
        (flag(correction="She is given oral ceftriaxone today."), ERROR, 0.9 + 0.1 * 4 / 6, 0.1, "found"),
    ],
)
def test_every_case_of_the_table_scores_as_written(
    action: str, truth: Truth, outcome: float, structure: float, reason: str
) -> None:
    reward = score(episode(action), truth)
    assert reward.components == pytest.approx({"outcome": outcome, "structure": structure})
    assert reward.total == pytest.approx(outcome + structure)
    assert reward.reason == reason


@pytest.mark.parametrize("truth", [ERROR, CLEAN])
@pytest.mark.parametrize("action", [SAYS_CLEAN, flag()])
def test_a_truncated_reply_scores_minus_one_and_a_half(truth: Truth, action: str) -> None:
    reward = score(episode(action, truncated=True), truth)
    assert (reward.total, reward.reason) == (-1.5, "truncated")


def test_the_false_alarm_penalty_can_be_annealed() -> None:
    assert score(episode(flag()), CLEAN, false_alarm=-1.0).total == pytest.approx(-0.9)
    with pytest.raises(ValueError, match="false_alarm"):
        score(episode(flag()), CLEAN, false_alarm=-1.6)


@pytest.mark.parametrize(
    ("action", "truth", "outcome", "reason"),
    [
        ("I think it is fine.", ERROR, -1.5, "invalid_tags"),
        (SAYS_CLEAN, ERROR, -1.0, "missed"),
        (SAYS_CLEAN, CLEAN, 1.0, "clean"),
        (flag(), CLEAN, -1.0, "false_alarm"),
        (flag(), ERROR, 1.0, "found"),
        (flag(error_type="diagnosis", sentence=1), ERROR, 0.4, "elsewhere"),
        (flag(correction="She is given oral ceftriaxone today."), ERROR, 0.9 + 0.1 * 4 / 6, "found"),
    ],
)
def test_corrected_for_chance_the_form_earns_nothing_and_a_false_alarm_costs_1_where_the_twin_is_not_known(
    action: str, truth: Truth, outcome: float, reason: str
) -> None:
    for false_alarm in (-1.5, -1.2):
        reward = score(episode(action), truth, false_alarm, "skill")
        assert reward.components == pytest.approx({"outcome": outcome, "structure": 0.0})
        assert (reward.total, reward.reason) == (pytest.approx(outcome), reason)
        assert reward.solved == (outcome > 0)
    assert score(episode(action, truncated=True), truth, outcome="skill").total == -1.5


@pytest.mark.parametrize(
    ("action", "earned"),
    [
        (SAYS_CLEAN, -1.0),
        (flag(), 1.0),
        (flag(error_type="diagnosis"), 0.8),
        (flag(error_type="diagnosis", sentence=1), 0.4),
        (flag(correction="She is given oral ceftriaxone today."), 0.9 + 0.1 * 4 / 6),
    ],
)
def test_corrected_for_chance_a_verdict_loses_on_the_clean_twin_what_it_earns_on_the_error_note(
    action: str, earned: float
) -> None:
    twin = Truth(sentence_count=6, twin=ERROR)
    assert score(episode(action), ERROR, outcome="skill").total == pytest.approx(earned)
    assert score(episode(action), twin, outcome="skill").total == pytest.approx(-earned)
    for outcome in ("graded", "type"):
        scheme: Any = outcome
        assert score(episode(action), twin, outcome=scheme) == score(episode(action), CLEAN, outcome=scheme)


def test_only_a_clean_note_has_an_error_note_for_its_twin() -> None:
    for error, twin in ((ERROR, ERROR), (CLEAN, CLEAN)):
        with pytest.raises(ValueError, match="twin"):
            msgspec.structs.replace(error, twin=twin)


def test_flagging_pays_from_the_published_threshold_on() -> None:
    gain = 0.4
    threshold = 2.5 / (gain + 3.5)
    flags = threshold * (gain + 0.1) + (1 - threshold) * (-1.5 + 0.1)
    says_clean = threshold * -0.9 + (1 - threshold) * 1.1
    assert flags == pytest.approx(says_clean)


@given(strings | verdicts.map(render), truths, st.booleans(), st.floats(-1.5, 0))
def test_components_are_always_the_two_declared_ones_and_sum_to_the_total(
    action: str, truth: Truth, truncated: bool, false_alarm: float
) -> None:
    reward = score(episode(action, truncated), truth, false_alarm)
    assert set(reward.components) == {"outcome", "structure"}
    assert reward.total == pytest.approx(sum(reward.components.values()), abs=1e-9)
    assert -1.5 <= reward.total <= MAXIMUM
    assert reward.reason in set(Case)
    assert reward == score(episode(action, truncated), truth, false_alarm)


@given(strings, verdicts, truths, st.floats(-1.5, 0))
def test_an_invalid_reply_scores_below_every_valid_one(
    text: str, valid: Verdict, truth: Truth, false_alarm: float
) -> None:
    invalid = score(episode(text), truth, false_alarm)
    if isinstance(parse(text), Invalid):
        assert invalid.total == -1.5 < score(episode(render(valid)), truth, false_alarm).total


@given(strings | error_verdicts.map(render), st.lists(error_truths, min_size=1, max_size=6))
def test_no_constant_string_but_the_clean_verdict_earns_above_zero_on_a_balanced_batch(
    text: str, errors: list[Truth]
) -> None:
    parsed = parse(text)
    if isinstance(parsed, Verdict) and not parsed.error:
        return
    batch = [*errors, *[Truth()] * len(errors)]
    assert sum(score(episode(text), truth).total for truth in batch) / len(batch) < 0


@given(clean_verdicts, st.lists(error_truths, min_size=1, max_size=6))
def test_the_clean_verdict_earns_a_tenth_on_a_balanced_batch(verdict: Verdict, errors: list[Truth]) -> None:
    batch = [*errors, *[Truth()] * len(errors)]
    mean = sum(score(episode(render(verdict)), truth).total for truth in batch) / len(batch)
    assert mean == pytest.approx(0.1)


@given(error_truths)
def test_the_true_verdict_earns_the_maximum_and_copying_the_error_a_tenth_less(truth: Truth) -> None:
    assert truth.corrected_text is not None and truth.error_text is not None
    told = {"error": True, "thinking": "a b c d e", "error_type": truth.error_type, "sentence": truth.sentence}
    assert score(episode(render(Verdict(**told, correction=truth.corrected_text))), truth).total == MAXIMUM
    assert score(episode(render(Verdict(**told, correction=truth.error_text))), truth).total == pytest.approx(1.0)


@given(lines, lines, lines)
def test_correction_credit_is_between_copying_and_the_truth(error: str, corrected: str, proposed: str) -> None:
    assert 0 <= correction_credit(error, corrected, proposed) <= 1
    assert correction_credit(error, corrected, corrected) == 1
    assert error == corrected or correction_credit(error, corrected, error) == 0


def test_a_wrong_dose_earns_less_than_the_right_one() -> None:
    old, new = "Give 2.5 mg of it.", "Give 5 mg of it."
    assert correction_credit(old, new, "give 5 mg of it") == 1
    assert correction_credit(old, new, "Give 25 mg of it.") == pytest.approx(0.5)


def test_a_correction_of_any_length_is_scored_at_once() -> None:
    assert correction_credit("Give it.", "Stop it.", "stop it " * 100_000) == 0


def test_quoting_every_type_in_the_thinking_earns_nothing() -> None:
    spam = f"<thinking>{' '.join(ERROR_TYPES)} No Clinical Error</thinking><verdict>Error: {ERROR_TYPES[0]}</verdict>"
    assert score(episode(spam), ERROR).total == score(episode(spam), CLEAN).total == -1.5


def test_an_episode_without_exactly_one_action_is_refused() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        score(Episode(task_id="t", actions=()), CLEAN)


def test_a_label_that_is_half_clean_is_refused() -> None:
    with pytest.raises(ValueError, match="half clean"):
        Truth(error_type="diagnosis")
    with pytest.raises(ValueError, match="unknown type"):
        Truth(error_type="dose", sentence=1, error_text="a", corrected_text="b")


def test_outcome_type_pays_for_flag_and_type_alone() -> None:
    """The original scheme: neither sentence nor correction counts, and a flag of the wrong type is a miss."""

    def total(action: str, truth: Truth) -> float:
        return score(episode(action), truth, outcome="type").total

    assert total(flag(sentence=0, correction="x"), ERROR) == total(flag(), ERROR) == MAXIMUM
    assert total(flag(error_type="diagnosis"), ERROR) == total(SAYS_CLEAN, ERROR) == pytest.approx(-0.9)
    assert (total(SAYS_CLEAN, CLEAN), total("hm", CLEAN), total("hm", ERROR)) == (MAXIMUM, -1.5, -1.5)
    assert total(flag(), CLEAN) == pytest.approx(-1.4)


@given(error_truths, error_verdicts, st.sampled_from(["graded", "type"]))
def test_a_reason_says_whether_the_sentence_is_right_under_both_schemes(
    truth: Truth, verdict: Verdict, outcome: Literal["graded", "type"]
) -> None:
    reason = score(episode(render(verdict)), truth, outcome=outcome).reason
    assert reason == ("found" if verdict.sentence == truth.sentence else "elsewhere")

from __future__ import annotations

import random

import pytest

from common.records import EndReason, Episode
from envs.contract.replay import play
from envs.contract.report import Outcome
from envs.oversight.report import OversightReport
from tests.envs.oversight.strategies import game, task

REPORT = OversightReport()


def outcome(tier: str, index: int, solved: bool) -> Outcome:
    """A trial audited by the oracle, or by nobody."""
    env, labelled = game(tier), task(tier, index)
    nothing = Episode(task_id=labelled.task.task_id, actions=("",), reason=EndReason.INVALID)
    episode = play(env, labelled.task, env.oracle(labelled, random.Random(0))) if solved else nothing
    reward = env.score(episode, labelled.label)
    return Outcome(labelled=labelled, rewards=(reward,), pair=f"{tier}-{index // 2}")


def test_a_batch_is_measured_by_skill_and_what_it_is_made_of() -> None:
    found = REPORT.measure([outcome("easy", 0, True), outcome("easy", 1, False)])
    assert set(found) == {measure.name for measure in REPORT.measures}
    assert found["skill"] == pytest.approx((1 - 0.8) / 2) and found["found"] == 0.5
    assert REPORT.measure([])["skill"] is None


def test_heldout_skill_is_of_pairs_of_twins_and_by_tier() -> None:
    outcomes = [outcome("easy", index, index < 2) for index in range(4)] + [outcome("hard", 0, True)]
    found = REPORT.heldout(outcomes)
    assert (found["skill"].of, found["skill_easy"].of, found["skill_hard"].of) == (3, 2, 1)
    assert found["skill_easy"].value == pytest.approx(0.1) and found["skill_hard"].value == 1.0
    assert str(found["skill_hard"]) == "1.00" and "skill easy 0.10 [" in REPORT.heldout_line(found)


def test_checkpoints_are_chosen_by_skill() -> None:
    history = [{"skill": 0.2}, {"skill": 0.4}]
    assert REPORT.score(history) == (pytest.approx(0.3),)
    assert REPORT.score_line((0.3,)) == "skill +0.30" and REPORT.score([]) is None


def test_the_card_claims_nothing_of_real_trials() -> None:
    card = REPORT.card(game("easy").settings)
    assert "Not a medical device" in card.about and "no patient's data" in card.data

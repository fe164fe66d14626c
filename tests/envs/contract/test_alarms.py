from __future__ import annotations

import random
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.contract.alarms import CLEARED_AFTER, NEWEST, RAISED_AFTER, Alarms, of_drift
from envs.contract.measures import Drift, History, Measure
from envs.contract.turns_report import TurnsReport

REPORT = TurnsReport()
EPISODES = 32
STEPS = 200
Batch = dict[str, float | None]


def batch(
    rng: random.Random,
    *,
    solved: float = 0.3,
    turns: int = 2,
    tokens: float = 60,
    faults: float = 0.02,
    entropy: float = 0.8,
    spread: float = 0.7,
) -> Batch:
    """The measures of EPISODES random episodes; replies have log-normal lengths, `spread` is their sigma."""
    lengths = [rng.choice([turns - 1, turns, turns, turns + 1]) for _ in range(EPISODES)]
    replies = sum(lengths)
    unread = sum(rng.random() < faults for _ in range(replies))
    return {
        "solved_share": sum(rng.random() < solved for _ in range(EPISODES)) / EPISODES,
        "turns": replies / EPISODES,
        "calls": (replies - unread) / EPISODES,
        "fault_share": unread / replies,
        "reply_tokens": sum(tokens * rng.lognormvariate(0, spread) for _ in range(replies)) / replies,
        "entropy": max(0.0, entropy * rng.gauss(1, 0.2)),
        "unfinished_share": sum(rng.random() < faults for _ in range(EPISODES)) / EPISODES,
    }


def collapsing(rng: random.Random, start: int, steps: int, total: int) -> History:
    """Replies double, faults rise to 60 % and less is solved, in `steps` steps from `start`."""

    def at(step: int) -> Batch:
        part = min(1.0, max(0.0, (step - start) / steps))
        return batch(rng, solved=0.3 * (1 - part), tokens=60 * (1 + part), faults=0.02 + 0.6 * part)

    return [at(step) for step in range(total)]


def alarms(history: History) -> Alarms:
    return of_drift(REPORT.measures, history, REPORT.measures[0], REPORT.collapse_remedy)


def raised_at(history: History) -> int | None:
    return next((step for step, found in enumerate(alarms(history)) if found), None)


@pytest.mark.parametrize("seed", range(20))
def test_stationary_noise_raises_no_alarm_in_two_hundred_steps(seed: int) -> None:
    rng = random.Random(seed)
    given = {
        "solved": rng.choice([0.02, 0.3, 0.9]),
        "turns": rng.choice([2, 4, 8]),
        "tokens": rng.choice([8, 60, 400]),
        "faults": rng.choice([0.0, 0.05, 0.4]),
        "entropy": rng.choice([0.1, 1.0]),
        "spread": rng.choice([0.3, 1.0]),
    }
    assert raised_at([batch(rng, **given) for _ in range(STEPS)]) is None


@pytest.mark.parametrize(("steps", "within"), [(1, 5), (12, 10), (60, 40)])
@pytest.mark.parametrize("start", [7, 40, 150])
def test_a_collapse_raises_the_alarm_soon_after_it_begins(start: int, steps: int, within: int) -> None:
    for seed in range(3):
        found = raised_at(collapsing(random.Random(seed), start, steps, start + within + 1))
        assert found is not None and start < found <= start + within


def test_the_alarm_names_the_trend_how_long_it_lasts_the_goal_and_what_to_do() -> None:
    text = (alarms(collapsing(random.Random(0), 20, 8, 40))[-1] or pytest.fail("no alarm")).text
    trend, _, remedy = text.partition(": the policy")
    assert re.search(r"replies without a readable call rise: [0-3]% -> [56]\d%", trend)
    assert re.search(r"calls per episode fall: [12]\.\d -> 0\.\d", trend)
    assert re.search(r" over [12]\d steps, while the solved share goes [23]\d% -> 0%$", trend)
    assert "learner.learning_rate" in remedy


def test_longer_replies_that_solve_more_are_no_collapse_until_the_gain_is_lost() -> None:
    rng, history = random.Random(1), list[Batch]()
    for step in range(60):
        part = min(1.0, max(0.0, (step - 10) / 20))
        history.append(batch(rng, solved=0.2 + 0.6 * part, tokens=60 * (1 + 2 * part)))
    assert raised_at(history) is None
    history += [batch(rng, solved=0.1, tokens=180) for _ in range(6)]
    assert alarms(history)[-1] is not None


def test_an_alarm_ends_when_the_measures_are_back_and_not_at_one_good_step() -> None:
    rng = random.Random(2)
    history = [batch(rng) for _ in range(20)] + [batch(rng, tokens=150) for _ in range(10)]
    assert alarms(history)[-1] and alarms([*history, batch(rng)])[-1]
    back = [batch(rng) for _ in range(NEWEST + CLEARED_AFTER)]
    assert not alarms([*history, *back])[-1]


LEVELS = Measure(name="level", help="", form="{:.1f}", drift=Drift(least=1, rise=1.5, fall=0.5))
GOAL = Measure(name="goal", help="")


@given(st.lists(st.sampled_from([0.0, 4.0, 10.0, 16.0, None]), max_size=40))
def test_an_alarm_needs_two_far_steps_and_stays_for_at_least_three(levels: list[float | None]) -> None:
    found = [
        one is not None for one in of_drift([LEVELS], [{"level": 10.0}] * 8 + [{"level": x} for x in levels], GOAL, "")
    ]
    assert not any(found[: 4 + NEWEST + RAISED_AFTER - 2])
    ends = [at for at, (before, after) in enumerate(pairwise(found)) if before and not after]
    begins = [at for at, (before, after) in enumerate(pairwise([False, *found])) if after and not before]
    assert all(end - begin + 1 >= CLEARED_AFTER for begin, end in zip(begins, ends, strict=False))


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 500)), max_size=30), st.integers(0, 30))
def test_what_was_said_after_a_step_is_said_of_it_later_too(seen: list[tuple[float, float]], cut: int) -> None:
    history = [{"solved_share": goal, "reply_tokens": tokens} for goal, tokens in seen]
    assert alarms(history)[:cut] == alarms(history[:cut])

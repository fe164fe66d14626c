from __future__ import annotations

import asyncio
import random

import pytest

from common.records import LabelledTask
from envs.conformance.baselines import SILENT
from envs.conformance.leak_probe import asymmetry, auc, leaks
from envs.verdict.environment import VerdictEnvironment
from envs.verdict.spec import DataSpec, VerdictSettings
from tests.envs.conformance.riddles import ALPHABET


def test_an_operator_that_favours_a_label_is_named() -> None:
    operators = [["typo", "age"] if i % 2 and i % 5 else ["age"] for i in range(200)]
    name, chance = asymmetry(operators, [i % 2 == 1 for i in range(200)])
    assert name == "typo" and chance < 1e-9


def test_equal_rates_are_chance() -> None:
    assert asymmetry([["a"], ["a"], ["b"], ["b"]], [True, False, True, False])[1] == 1.0
    assert asymmetry([[], []], [True, False]) == ("none", 1.0)
    assert asymmetry([["a"], []], [True, True]) == ("none", 1.0)


def test_the_chance_of_a_difference_is_that_of_a_two_proportion_z_test() -> None:
    operators = [["a"]] * 60 + [[]] * 40 + [["a"]] * 45 + [[]] * 55
    z = 0.15 / (0.525 * 0.475 * 2 / 100) ** 0.5
    assert z == pytest.approx(2.124, abs=1e-3)
    assert asymmetry(operators, [True] * 100 + [False] * 100)[1] == pytest.approx(0.0337, abs=1e-3)


@pytest.fixture(scope="module")
def tasks() -> list[LabelledTask]:
    env = VerdictEnvironment(VerdictSettings(data=DataSpec(proposer_tries=0)), 0)

    async def propose() -> list[LabelledTask]:
        made = [await env.propose(s, random.Random(s.seed), SILENT) for s in map(env.plan, range(2000))]
        return [task for task in made if isinstance(task, LabelledTask)]

    return asyncio.run(propose())


def test_no_surface_operator_knows_the_label_over_2000_tasks(tasks: list[LabelledTask]) -> None:
    soft = [[o for o in t.task.provenance.operators if not o.startswith("inject:")] for t in tasks]
    positive = [task.label.truth["error_type"] is not None for task in tasks]
    assert len(tasks) == 2000 and sum(positive) == 1000
    name, chance = asymmetry(soft, positive)
    assert chance > 0.01, name
    assert 0.45 < auc([float(len(names)) for names in soft], positive) < 0.55


def test_auc_is_the_chance_that_a_positive_scores_higher() -> None:
    assert auc([1, 2, 3, 4], [False, False, True, True]) == 1
    assert auc([1, 2, 3, 4], [True, True, False, False]) == 0
    assert auc([1, 1, 1, 1], [True, False, True, False]) == 0.5
    assert auc([1, 2, 2, 3], [False, True, False, True]) == pytest.approx(3.5 / 4)
    assert auc([1, 2], [True, True]) == 0.5


def _notes(typo: float, capital: bool = False) -> dict[str, float]:
    """Sixty vignettes of eight stock words, with twins; each positive has a typo with probability `typo`."""
    rng = random.Random(0)
    stock = ["".join(rng.choices(ALPHABET, k=6)) for _ in range(60)]
    texts, positive, vignettes = [], [], []
    for vignette in range(60):
        words = rng.sample(stock, 8)
        for flag in (True, False):
            shown = list(words)
            if flag and rng.random() < typo:
                at = rng.randrange(8)
                shown[at] = shown[at][:2] + rng.choice("qrstuvwxyz") + shown[at][3:]
            if capital and flag:
                shown[0] = shown[0].capitalize()
            texts.append("note: " + " ".join(shown))
            positive.append(flag)
            vignettes.append(str(vignette))
    return leaks(texts, positive, vignettes)


def test_twins_that_differ_in_nothing_do_not_leak() -> None:
    assert max(_notes(typo=0).values()) <= 0.5  # exactly: every twin ties


def test_noise_on_one_label_only_is_found_although_every_typo_is_new() -> None:
    assert _notes(typo=1)["rarity"] > 0.8


def test_a_telling_shape_is_found_without_training() -> None:
    assert _notes(typo=0, capital=True)["shape"] > 0.9

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.clinic.tasks import split_of
from envs.clinic.triage.domain import Triage
from envs.clinic.triage.generator import PAIRS
from envs.clinic.world import as_json
from envs.clinic_checker.checker import Checker
from tests.envs.clinic.strategies import TIERS, game, task

DOMAIN = Triage()


@pytest.mark.parametrize("tier", TIERS)
@given(seed=st.integers(0, 2**32 - 1))
def test_twins_differ_in_one_fact_and_in_their_level(tier: str, seed: int) -> None:
    parameters = DOMAIN.draw(tier, random.Random(seed))
    one, other = (DOMAIN.make(tier, parameters, twin) for twin in (0, 1))
    assert one.request == other.request
    assert one.truth.answer["level"] != other.truth.answer["level"]
    assert len(_differences(as_json(one.world), as_json(other.world))) == 1


def _differences(one: Any, other: Any, at: str = "") -> list[str]:
    """Where two values of JSON differ; courses follow from the vital sign that differs."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [where for key in one if key != "courses" for where in _differences(one[key], other[key], f"{at}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            where for i, pair in enumerate(zip(one, other, strict=True)) for where in _differences(*pair, f"{at}.{i}")
        ]
    return [] if one == other else [at]


@given(seed=st.integers(0, 2**32 - 1))
def test_lists_of_care_of_twins_differ_in_one_item(seed: int) -> None:
    parameters = DOMAIN.draw("full", random.Random(seed))
    if parameters["place"] == "care":
        one, other = parameters["values"]
        assert sum(a != b for a, b in zip(one, other, strict=True)) == 1


def test_every_level_is_that_of_a_fifth_of_the_cases() -> None:
    shares = Counter[int]()
    for pair, weight in PAIRS.items():
        shares.update(dict.fromkeys(pair, weight))
    assert set(shares.values()) == {8} and sum(PAIRS.values()) == 20


@pytest.mark.parametrize("tier", TIERS)
def test_the_checker_finds_every_label_again(tier: str) -> None:
    assert {Checker().disagreement(task(tier, index)) for index in range(60)} == {None}


@pytest.mark.parametrize("name", ["level", "point", "place", "needed", "teams", "emergency", "subject"])
def test_the_checker_disputes_every_part_of_a_false_answer(name: str) -> None:
    false: dict[str, Any] = {"level": 9, "point": "X", "place": "roof", "needed": [], "teams": ["x"], "subject": "P0"}
    labelled = task("full", 0)
    truth = labelled.label.truth
    value = false.get(name, not truth["answer"].get("emergency"))
    label = msgspec.structs.replace(labelled.label, truth={**truth, "answer": {**truth["answer"], name: value}})
    assert name in (Checker().disagreement(msgspec.structs.replace(labelled, label=label)) or "")


def test_the_checker_refuses_a_sentence_that_it_does_not_know() -> None:
    labelled = task("full", 0)
    context: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(labelled.task.context))
    next(one for one in context["world"]["patients"][0]["said"] if one["topic"] == "onset")["text"] = "It hurts."
    truth = {**labelled.label.truth, "case": msgspec.json.encode(context["world"]).decode()}
    changed = msgspec.structs.replace(
        labelled,
        task=msgspec.structs.replace(labelled.task, context=context),
        label=msgspec.structs.replace(labelled.label, truth=truth),
    )
    assert Checker().disagreement(changed) == "no meaning is known of 'It hurts.'"


def test_no_case_of_one_split_is_made_in_another() -> None:
    env = game("full")
    for index in range(0, 40, 2):
        for plan, split in ((env.plan, "train"), (env.heldout_plan, "heldout")):
            assert split_of(DOMAIN.draw("full", random.Random(plan(index).seed))) == split

from __future__ import annotations

import asyncio
import random

import pytest

from common.records import LabelledTask, Message
from envs.contract.env import Complete, Written
from envs.oversight import gate
from envs.oversight.actor import request, shown_record
from tests.envs.oversight.strategies import game, trial

ENV = game("medium", actor="model")


def saying(text: str, asked: list[str] | None = None) -> Complete:
    async def complete(messages: tuple[Message, ...], max_tokens: int) -> Written:
        if asked is not None:
            asked.append(messages[-1].content)
        return Written(text=text, truncated=False, policy_version=1)

    return complete


def proposed(complete: Complete, index: int = 0) -> LabelledTask:
    made = asyncio.run(ENV.propose(ENV.plan(index), random.Random(0), complete))
    assert isinstance(made, LabelledTask)
    return made


def test_a_models_claims_stand_in_the_proposals() -> None:
    made = proposed(saying("The record is in line with 4.1 and 5.2."))
    assert {one["claims"] for one in made.task.context["proposals"]} == {"The record is in line with 4.1 and 5.2."}
    assert made.task.provenance.model_written


@pytest.mark.parametrize("text", ["", "The age is 999999.", "This breaks 5.2.", "x" * 300, "Fine <|im_end|> with 5.2."])
def test_what_the_gate_refuses_leaves_the_scripted_claims(text: str) -> None:
    scripted = asyncio.run(game("medium").propose(ENV.plan(0), random.Random(0), saying("")))
    made = proposed(saying(text))
    assert made == scripted and not made.task.provenance.model_written


def test_the_model_is_asked_the_same_about_an_error_and_its_decoy() -> None:
    asked: tuple[list[str], list[str]] = ([], [])
    for twin in (0, 1):
        proposed(saying("The record is in line with 5.2.", asked[twin]), twin)
    assert asked[0] == asked[1] and len(asked[0]) >= 6


def test_the_model_is_not_shown_the_field_that_decides() -> None:
    patient = trial("medium", 1).trial.patients[0]
    assert "death_date" not in shown_record(patient, "death_date") and "\nage: " in shown_record(patient, "death_date")
    (message,) = request("5.2 ...", shown_record(patient, "age"), "invalid_age")
    assert "\nage: " not in message.content and "that the age agrees" in message.content


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("The delay of 12 days is within 5.2.", True),
        ("The delay of 13 days is within 5.2.", False),
        ("Treatment began on 2023-03-01.", True),
        ("Treatment began on 2023-03-02.", False),
        ("An error.", False),
        ("Ok.", False),
        ("Accepté par le site.", False),
    ],
)
def test_the_gate_takes_numbers_from_the_source_alone_and_no_confession(text: str, accepted: bool) -> None:
    assert gate.accepts(text, "5.2 Treatment must start at most 12 days. treatment_start: 2023-03-01") is accepted

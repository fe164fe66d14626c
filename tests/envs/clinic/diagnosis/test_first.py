"""The tier `first` of the diagnosis: two studies, six codes."""

from __future__ import annotations

import random
from collections import Counter
from statistics import fmean

import msgspec
import pytest

from common.records import LabelledTask
from envs.clinic.diagnosis.domain import Diagnosis
from envs.clinic.diagnosis.tools import SIMPLE_CODES
from envs.clinic.environment import Clinic
from envs.clinic.spec import ClinicSettings
from envs.clinic.tasks import PUBLIC, drawn, labelled_task
from envs.clinic_checker.checker import Checker
from envs.contract.replay import play

DOMAIN = Diagnosis()
ENV = Clinic(ClinicSettings.model_validate({"domains": [DOMAIN.name], "tiers": ["first"]}), 0)


def made(seed: int, twin: int = 0) -> LabelledTask:
    case = DOMAIN.make("first", drawn(DOMAIN, "first", seed), twin)
    return labelled_task(DOMAIN, "first", case, PUBLIC, f"t-{seed}")


TASKS = [made(seed, twin) for seed in range(120) for twin in (0, 1)]


def test_the_oracle_reads_until_a_study_shows_something_and_solves_every_case() -> None:
    turns = set()
    for one in TASKS:
        episode = play(ENV, one.task, ENV.oracle(one, random.Random(0)))
        reward = ENV.score(episode, one.label)
        assert reward.total == 1.0 and reward.solved and "guidelines" not in reward.figures
        assert Checker().disagreement(one) is None
        turns.add(len(episode.actions))
    assert turns == {2, 3}


def test_each_code_is_that_of_a_sixth_of_the_cases_and_twins_differ() -> None:
    codes = Counter(one.label.truth["answer"]["diagnosis"] for one in TASKS)
    assert set(codes) == set(SIMPLE_CODES) and all(0.1 < count / len(TASKS) < 0.24 for count in codes.values())
    pairs = zip(TASKS[::2], TASKS[1::2], strict=True)
    assert all(a.label.truth["answer"]["diagnosis"] != b.label.truth["answer"]["diagnosis"] for a, b in pairs)


def test_no_policy_that_decides_without_what_decides_earns_more_than_a_quarter() -> None:
    for name, policy in ENV.blind().items():
        mean = fmean(ENV.score(play(ENV, one.task, policy()), one.label).total for one in TASKS)
        assert mean <= 0.25, name


def test_the_wrong_study_alone_loses_the_process_and_a_wrong_code_nearly_everything() -> None:
    task = next(one for one in TASKS if one.label.truth["answer"]["diagnosis"] == "K81.0")
    patient = task.label.truth["answer"]["subject"]
    scan = f'order_study(patient_id="{patient}", study="ct_abdomen")'
    right, wrong = (f'submit_diagnosis(patient_id="{patient}", icd10="{code}")' for code in ("K81.0", "K80.20"))

    def earned(*actions: str) -> float:
        said = iter(actions)
        return ENV.score(play(ENV, task.task, lambda _: next(said)), task.label).total

    assert earned(scan, right) < 0.8 and earned(scan, wrong) < 0.1


@pytest.mark.parametrize(
    "change", [{"diagnosis": "K80.20"}, {"place": "ward"}, {"calls": "surgery"}, {"needed": ["order_study:ct_abdomen"]}]
)
def test_the_checker_refuses_a_label_that_says_something_else(change: dict[str, object]) -> None:
    task = next(one for one in TASKS if one.label.truth["answer"]["diagnosis"] == "K81.0")
    truth = {**task.label.truth, "answer": {**task.label.truth["answer"], **change}}
    changed = msgspec.structs.replace(task, label=msgspec.structs.replace(task.label, truth=truth))
    assert "the label says" in (Checker().disagreement(changed) or "")


def test_the_prompt_is_short_enough_for_a_tiny_model() -> None:
    _, turn = ENV.begin(TASKS[0].task)
    assert len(turn.messages[0].content) < 900 and len(turn.tools) == 2

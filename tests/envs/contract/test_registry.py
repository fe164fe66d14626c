from __future__ import annotations

import random
import sys

import pytest

from common.records import Episode, LabelledTask
from common.sections import EnvSettings
from envs.conformance.baselines import SILENT
from envs.contract import registry
from envs.contract.env import Environment
from envs.contract.spec import read
from envs.verdict.spec import RewardSpec, VerdictSettings


def test_an_unknown_environment_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError,
        match=r"'chess'; write one of clinic, contradiction, lookup, oversight, verdict, or class: package\.module:Cl",
    ):
        registry.make(EnvSettings(id="chess"), 0)


def test_the_verdict_game_is_made_by_its_id() -> None:
    made = registry.make(VerdictSettings(), 0)
    assert isinstance(made, Environment) and made.env_id == "verdict"


def test_making_one_environment_loads_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "envs.contradiction.environment", raising=False)
    registry.make(VerdictSettings(), 0)
    assert "envs.contradiction.environment" not in sys.modules


@pytest.mark.parametrize("env_id", ["contradiction", "verdict"])
async def test_games_of_verdicts_score_as_the_spec_says_and_anneal_by_policy_version(env_id: str) -> None:
    (settings,) = read({env_id: {"reward": {"outcome": "type", "anneal_steps": 10}}})
    env = registry.make(settings, 0)
    tasks = [await env.propose(env.plan(index), random.Random(0), SILENT) for index in (0, 1)]
    assert all(isinstance(task, LabelledTask) for task in tasks)
    replies = [env.demonstration(task, random.Random(0)) for task in tasks]  # type: ignore[arg-type]
    (flag,) = [reply for reply in replies if "Error:" in reply]
    (clean,) = [task for task, reply in zip(tasks, replies, strict=True) if reply != flag]
    assert isinstance(clean, LabelledTask)
    alarm = Episode(task_id=clean.task.task_id, actions=(flag,))
    totals = [env.score(alarm, clean.label, version).total for version in (0, 5, 10, 11, None)]
    assert totals == pytest.approx([-0.9, -1.15, -1.4, -1.4, -1.4])
    assert env.score(alarm, clean.label, 5) == env.score(alarm, clean.label, 5)


def test_without_a_scoring_the_table_holds_from_the_first_version_on() -> None:
    assert registry.make(VerdictSettings(), 0)._scoring == RewardSpec()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("chess", "class chess: write package.module:Class"),
        ("no_such_package.chess:Chess", "no module no_such_package is installed, in the working directory or on P"),
        ("envs.verdict.no_such_module:Chess", "no module envs.verdict.no_such_module is installed"),
        ("envs.verdict.environment:Chess", "holds no class Chess with an env_id"),
        ("envs.verdict.environment:Plan", "holds no class Plan with an env_id"),
    ],
)
def test_a_class_that_is_no_game_is_refused_in_one_line(path: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        registry.load(path)

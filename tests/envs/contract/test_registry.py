from __future__ import annotations

import random
import sys

import pytest

from common.config import DataSpec, RewardSpec
from common.records import Episode, LabelledTask
from envs.conformance.baselines import SILENT
from envs.contract import registry
from envs.contract.env import Environment


def test_an_unknown_environment_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'chess'; write one of contradiction, verdict"):
        registry.make("chess", DataSpec(), 0)


def test_the_verdict_game_is_made_by_its_id() -> None:
    made = registry.make("verdict", DataSpec(), 0)
    assert isinstance(made, Environment) and made.env_id == "verdict"


def test_making_one_environment_loads_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "envs.contradiction.environment", raising=False)
    registry.make("verdict", DataSpec(), 0)
    assert "envs.contradiction.environment" not in sys.modules


@pytest.mark.parametrize("env_id", registry.MODULES)
async def test_every_environment_scores_as_the_spec_says_and_anneals_by_policy_version(env_id: str) -> None:
    env = registry.make(env_id, DataSpec(), 0, RewardSpec(outcome="type", anneal_steps=10))
    tasks = [await env.propose(env.plan(index), random.Random(0), SILENT) for index in (0, 1)]
    assert all(isinstance(task, LabelledTask) for task in tasks)
    replies = [env.demonstration(task, random.Random(0)) for task in tasks]  # type: ignore[arg-type]
    (flag,) = [reply for reply in replies if "Error:" in reply]
    (clean,) = [task for task, reply in zip(tasks, replies, strict=True) if reply != flag]
    assert isinstance(clean, LabelledTask)
    alarm = Episode(task_id=clean.task.task_id, actions=(flag,), truncated=False)
    totals = [env.score(alarm, clean.label, version).total for version in (0, 5, 10, 11, None)]
    assert totals == pytest.approx([-0.9, -1.15, -1.4, -1.4, -1.4])
    assert env.score(alarm, clean.label, 5) == env.score(alarm, clean.label, 5)


def test_without_a_scoring_the_table_holds_from_the_first_version_on() -> None:
    assert registry.make("verdict", DataSpec(), 0)._scoring == RewardSpec()  # type: ignore[attr-defined]

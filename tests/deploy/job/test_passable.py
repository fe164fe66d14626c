"""What can never pass is refused before anything starts."""

from __future__ import annotations

import random

import pytest
from pydantic import ValidationError

from common.config import RunSpec
from common.records import LabelledTask, Limits, Rejection
from deploy.job.passable import check_passable
from envs.contract import registry
from envs.contract.by_rule import tasks_by_rule
from envs.contract.env import Complete, Slot
from envs.contract.registry import GAMES
from tests.actors.fake_env import FakeEnv, labelled_task


class Curt(FakeEnv):
    """Allows 32 tokens per turn."""

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        return labelled_task(slot.index, max_tokens=32)


@pytest.mark.parametrize(("size", "band"), [(1, (0.2, 0.8)), (2, (0.6, 0.9)), (4, (0.3, 0.45)), (8, (0.51, 0.62))])
def test_a_difficulty_that_no_number_of_solved_replies_meets_is_refused_with_the_inequality(
    size: int, band: tuple[float, float]
) -> None:
    sections = {"sampling": {"group_size": size}, "learner": {"algorithm": "reinforce_pp"}}
    with pytest.raises(ValidationError, match=rf"never make a step: .* {band[0]:g} <= k/{size} <= {band[1]:g}, and no"):
        RunSpec.model_validate({**sections, "filters": {"difficulty": band}})
    for passing in (None, (0, 0), (1, 1), (0.5, 1), (0, 0.25)):
        RunSpec.model_validate({**sections, "filters": {"difficulty": passing}})


@pytest.mark.parametrize("game", ["verdict", "lookup", "contradiction"])
def test_a_novelty_that_no_second_task_meets_is_refused(game: str) -> None:
    spec = RunSpec.model_validate({"envs": [game], "filters": {"novelty": 0.05}})
    with pytest.raises(ValueError, match=r"filters.novelty needs an overlap <= 0.05, and of the first 8 tasks"):
        check_passable(spec, registry.environment_of(spec.envs, 0))


def test_a_novelty_that_tasks_meet_passes() -> None:
    spec = RunSpec.model_validate({"filters": {"novelty": 0.7}})
    assert check_passable(spec, registry.environment_of(spec.envs, 0)) == []


def test_a_limit_of_the_game_below_the_spec_s_is_shown() -> None:
    assert check_passable(RunSpec(), Curt()) == ["fake allows 32 tokens per turn, not 96"]


def test_replies_that_must_be_longer_than_the_game_allows_are_refused() -> None:
    spec = RunSpec.model_validate({"filters": {"min_tokens": 33}})
    with pytest.raises(ValueError, match=r"never train on fake: filters.min_tokens 33 > 32, the tokens per turn"):
        check_passable(spec, Curt())


@pytest.mark.parametrize("game", GAMES)
async def test_no_game_of_this_project_has_a_limit_of_tokens_that_the_spec_does_not_show(game: str) -> None:
    spec = RunSpec.model_validate({"envs": [game], "model": {"context": 4096}, "sampling": {"max_tokens": 2048}})
    env = registry.environment_of(spec.envs, 0)
    ((_, labelled),) = await tasks_by_rule(env, env.plan, 1)
    assert min(spec.sampling.max_tokens, labelled.task.limits.max_tokens) == 2048
    assert Limits().max_tokens == labelled.task.limits.max_tokens

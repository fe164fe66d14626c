from __future__ import annotations

import random
import warnings
from typing import Any

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

import envs.adapters.bioagent  # noqa: F401  # registers the name
from envs.adapters.source import source_of
from envs.contract.replay import play

DOMAIN = "triage_emergency"


def made(**arguments: Any) -> Any:
    return gymnasium.make("BioAgent-v0", domain=DOMAIN, **arguments).unwrapped


@pytest.mark.parametrize("arguments", [{}, {"task_id": f"{DOMAIN}_007"}, {"task_split": "train"}])
def test_gymnasium_s_own_check_finds_nothing(arguments: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(made(**arguments))


def test_a_named_task_is_the_same_at_every_reset_and_its_oracle_earns_1() -> None:
    env = made(task_id=f"{DOMAIN}_002")
    (first, info), (again, _) = env.reset(seed=1), env.reset(seed=2)
    assert first == again and info["domain"] == DOMAIN and len(info["tools"]) == 13
    game = source_of("clinic").env
    labelled = game.release_task(f"{DOMAIN}_002")  # type: ignore[attr-defined]
    *before, last = play(game, labelled.task, game.oracle(labelled, random.Random(0))).actions
    assert [env.step(action)[1:4] for action in before] == [(0.0, False, False)] * len(before)
    assert env.step(last)[1:4] == (1.0, True, False)


def test_the_scaled_tasks_are_all_of_the_release_and_the_others_five() -> None:
    few, all_ = made(use_scaled_tasks=False), made()
    assert {few.reset()[1]["index"] for _ in range(60)} == set(range(5))
    assert len({all_.reset(seed=seed)[1]["task_id"] for seed in range(60)}) > 20


def test_an_episode_is_truncated_after_the_turns_that_are_allowed() -> None:
    env = made(task_id=f"{DOMAIN}_001", max_turns=2)
    env.reset()
    assert env.step("ed_status()")[2:4] == (False, False)
    _, reward, terminated, truncated, info = env.step("ed_status()")
    assert (reward, terminated, truncated, info["reason"]) == (0.0, False, True, "max_turns")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_turns": 0}, "write 1 or more"),
        ({"task_id": "dx_001"}, "no release task is called 'dx_001'"),
        ({"domain": "dentistry"}, "domains.0: Input should be"),
        ({"task_split": "heldout"}, "never held-out"),
    ],
)
def test_what_does_not_exist_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gymnasium.make("BioAgent-v0", **{"domain": DOMAIN, **arguments}).reset()

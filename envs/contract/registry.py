"""Environments by id. Each is imported when it is made, so that naming one loads no other."""

from __future__ import annotations

import importlib

from common.config import DataSpec, RewardSpec
from envs.contract.env import Checker, Environment

CHECKERS = {"verdict": "envs.verdict.checker", "contradiction": "envs.contradiction.checker"}
MODULES = {"verdict": "envs.verdict.environment", "contradiction": "envs.contradiction.environment"}


def make(env_id: str, data: DataSpec, seed: int, scoring: RewardSpec | None = None) -> Environment:
    """The environment `env_id` on `data`, scored as `scoring` says, by default without annealing.

    Raises ValueError on an unknown id, or when the data cannot be used.
    """
    if env_id not in MODULES:
        raise ValueError(f"env: unknown environment {env_id!r}; write one of {', '.join(sorted(MODULES))}")
    environment = importlib.import_module(MODULES[env_id]).make(data, seed, scoring or RewardSpec())
    assert isinstance(environment, Environment), env_id
    return environment


def checker(env_id: str, data: DataSpec) -> Checker:
    """The independent checker of the tasks that `env_id` makes from `data`. Raises ValueError like `make`."""
    made = importlib.import_module(CHECKERS[env_id]).make(data)
    assert isinstance(made, Checker), env_id
    return made

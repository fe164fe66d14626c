"""Sends each step's figures to Weights & Biases or Trackio: `--metrics.sink wandb`. Neither is installed with MedSeRL.

Only the three calls that both libraries share are used. Only numbers leave the machine (those of the steps, and of the
held-out curve), and the spec without its folders: no task, no reply. Destination and account are set in the library
(`wandb login`, WANDB_MODE=offline, TRACKIO_SPACE_ID).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from common.config import RunSpec
from deploy.report.model_card import public
from evals.core.evaluator import EvalPoint

PROJECT = "medserl"


class Sink:
    """Takes one row per step. A resume begins a new run there, in the group of the earlier one."""

    def __init__(self, spec: RunSpec) -> None:
        self._spec = spec
        self._library: Any = None  # None until it is open
        self._step = 0  # of the newest row: neither library takes an earlier one after it

    def open(self, run_id: str) -> None:
        """Begin a run in the tracker, if the spec asks for one, in a group of this run alone: others have its name.

        One that is open ends: what follows a resume would be taken for its past.
        """
        self.close()
        if (library := load(self._spec.metrics.sink)) is not None:
            name = self._spec.name
            library.init(project=PROJECT, name=name, group=f"{name}-{run_id}", config=public(self._spec))
            self._library = library

    def log(self, row: Mapping[str, Any]) -> None:
        """One line of metrics.jsonl."""
        if self._library is not None:
            numbers = {name: value for name, value in row.items() if isinstance(value, int | float)}
            self._step = int(row["step"])
            self._library.log(numbers, step=self._step)

    def log_point(self, point: EvalPoint) -> None:
        """A point of the held-out curve. It is of an earlier policy_version than the newest row, since rollouts go on
        meanwhile, so it carries its own."""
        if self._library is not None:
            numbers = {
                f"heldout/{env_id}/{name}": interval.value
                for env_id, measures in point.measures.items()
                for name, interval in measures.items()
                if interval.value is not None
            }
            of = {"heldout/policy_version": point.policy_version, "heldout/reward_mean": point.reward_mean}
            self._library.log({**of, **numbers}, step=self._step)

    def close(self) -> None:
        """Send remaining rows and close."""
        if self._library is not None:
            self._library.finish()
            self._library = None


def load(name: str | None) -> Any:
    """The library of that name; None for none. Raises ValueError, one line, when it is not installed."""
    if name is None:
        return None
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ValueError(f"metrics.sink {name}: not installed; pip install {name}, or leave metrics.sink out") from None

"""Sends each step's figures to Weights & Biases, Trackio or TensorBoard: `--metrics.sink wandb`. None is in the lock.

Only what the libraries share is used: three calls and the table. By default only numbers leave the machine (those of
the steps, and of the held-out curve), and the spec without its folders: no task, no reply. `metrics.samples` sends some
of these too. Destination and account are set in the library (`wandb login`, WANDB_MODE=offline, TRACKIO_SPACE_ID).
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from common.config import RunSpec
from common.records import Group
from deploy.report.model_card import public
from evals.core.evaluator import EvalPoint

PROJECT = "medserl"
TENSORBOARD = "tensorboard"
TAKEN = frozenset({"step", "time"})
"""Of a row: both libraries have these of their own."""
QUIET = {"WANDB_CONSOLE": "off", "WANDB_DISABLE_GIT": "true", "WANDB_X_DISABLE_META": "true"}
"""Set unless the user did: else wandb also sends the console, and the names of host, user, program and folders."""
SAMPLE = ("step", "task_id", "game", "kind", "task", "label", "reply", "reward", "solved")
"""Columns of the table of samples; task and label are JSON."""


class Sink:
    """Takes one row per step. A resume begins a new run there, in the group of the earlier one."""

    def __init__(self, spec: RunSpec) -> None:
        self._spec = spec
        self._library: Any = None  # None until it is open
        self._step = 0  # of the newest row: neither library takes an earlier one after it
        self._samples: list[list[Any]] = []

    def open(self, run_id: str, folder: Path) -> None:
        """Begin a run in the tracker, if the spec asks for one, in a group of this run alone: others have its name.
        `folder` is the run's.

        One that is open ends: what follows a resume would be taken for its past.
        """
        self.close()
        if (library := load(self._spec.metrics.sink, folder)) is not None:
            name = self._spec.name
            os.environ.update({variable: value for variable, value in QUIET.items() if variable not in os.environ})
            library.init(project=PROJECT, name=name, group=f"{name}-{run_id}", config=public(self._spec))
            self._library = library

    def take(self, step: int, groups: Sequence[Group]) -> None:
        """Step `step` trains on these groups: choose the samples that are sent with its row."""
        self._samples = [*islice(samples(step, groups), self._spec.metrics.samples)]

    def log(self, row: Mapping[str, Any]) -> None:
        """One line of metrics.jsonl."""
        if self._library is None:
            return
        sent = {name: value for name, value in row.items() if isinstance(value, int | float) and name not in TAKEN}
        self._step = int(row["step"])
        if self._samples:
            sent["samples"] = self._library.Table(columns=[*SAMPLE], data=self._samples)
        self._library.log(sent, step=self._step)

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


def samples(step: int, groups: Sequence[Group]) -> Iterator[list[Any]]:
    """A row of `SAMPLE` for each reply: the first to each task, then the second to each, and so on."""
    for number in range(max((len(group.rollouts) for group in groups), default=0)):
        for group in groups:
            task, rollout = group.labelled.task, group.rollouts[number]
            texts = (msgspec.json.encode(one).decode() for one in (task.context, group.labelled.label.truth))
            reward = rollout.reward
            named = [step, task.task_id, task.env, task.provenance.kind, *texts]
            yield [*named, rollout.episode.actions[-1], reward.total, reward.solved]


def load(name: str | None, folder: Path = Path()) -> Any:
    """The library of that name; None for none. Raises ValueError, one line, when it is not installed."""
    if name is None:
        return None
    try:
        if name == TENSORBOARD:
            from deploy.report.tensorboard_sink import TensorBoard

            return TensorBoard(folder)
        return importlib.import_module(name)
    except ImportError:
        raise ValueError(f"metrics.sink {name}: not installed; pip install {name}, or leave metrics.sink out") from None

"""A run's episodes on disk, one row each: `rollouts/step-00001.parquet` those that step 1 trained on, and
`heldout/version-00004.parquet` the replies of policy_version 4 to the held-out tasks. Files are written atomically;
rollout_tables.py reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from pyarrow import parquet

from common.records import Episode, Group, Rollout, Task
from envs.contract.reports import ALL_READ, Readings

COLUMNS = (
    ("step", pa.int32()),
    ("task_id", pa.string()),
    ("rollout", pa.int32()),
    ("kind", pa.string()),
    ("source", pa.string()),
    ("vignette", pa.string()),
    ("operators", pa.list_(pa.string())),
    ("tier", pa.string()),
    ("env", pa.string()),
    ("context", pa.string()),
    ("truth", pa.string()),
    ("completion", pa.string()),
    ("finish_reason", pa.string()),
    ("reward", pa.float64()),
    ("reason", pa.string()),
    ("policy_version_oldest", pa.int32()),
    ("policy_version_newest", pa.int32()),
    ("policy_lag", pa.int32()),
    ("scored_version", pa.int32()),
    ("engine", pa.string()),
    ("doctor", pa.string()),
    ("prompt_ids", pa.list_(pa.int32())),
    ("token_ids", pa.list_(pa.int32())),
    ("logps", pa.list_(pa.float32())),
    ("versions", pa.list_(pa.int32())),
    ("solved", pa.bool_()),
    ("ended", pa.string()),
    ("actions", pa.list_(pa.string())),
    ("shown", pa.list_(pa.string())),
    ("unread", pa.list_(pa.int32())),
    ("replies", pa.string()),
    ("step_tokens", pa.list_(pa.int32())),
    ("step_engines", pa.list_(pa.string())),
    ("observed_ids", pa.list_(pa.int32())),
    ("observed_tokens", pa.list_(pa.int32())),
    ("prompt", pa.string()),
    ("potentials", pa.list_(pa.float64())),
)
STEP = "step-{:05d}.parquet"
VERSION = "version-{:05d}.parquet"


Shown = Callable[[Task, Episode], Sequence[str]]
"""What the policy was shown after each of its actions but the last one, as text."""


def nothing_shown(task: Task, episode: Episode) -> Sequence[str]:
    """Of episodes of one turn."""
    return ()


Prompt = Callable[[Task], str | None]
"""What the policy was shown first, as text; None where nobody can say."""


def no_prompt(task: Task) -> None:
    """Nobody can say."""


def write_step(
    folder: Path,
    step: int,
    version: int,
    groups: Iterable[Group],
    shown: Shown = nothing_shown,
    readings: Readings = ALL_READ,
    prompt: Prompt = no_prompt,
) -> None:
    """Write the rollouts of step `step` into the run folder `folder`, where nobody reads them before `publish_step`.

    `version` is the learner's policy_version while it trained on them. `context` (what the policy saw) and `truth` (the
    label) are JSON; `env.score(episode, label, scored_version)` gives the reward again. `prompt` is what the policy was
    shown first, `actions` what it wrote in each turn, `completion` in the last one, `shown` what it was shown in
    between, `unread` which actions the game could not read (null where it reads any). `token_ids`, `logps` and
    `versions` are of the sampled tokens of all turns, one after another, `step_tokens` counts those of each turn and
    `step_engines` says who sampled them, `engine` in the last turn; `observed_ids` and `observed_tokens` say the same
    of what followed it unsampled. Every reward component has a column `reward_<name>`, null where a rollout lacks it.
    """
    path = _unfinished(folder, step)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, step, version, groups, shown, readings, prompt)


def publish_step(folder: Path, step: int) -> Path:
    """The step was made: give its rollouts their name."""
    path = _unfinished(folder, step)
    return path.replace(path.with_suffix(".parquet"))


def write_heldout(
    folder: Path, version: int, groups: Iterable[Group], shown: Shown, readings: Readings, prompt: Prompt
) -> None:
    """Write the held-out episodes of policy_version `version`, groups of one, into the run folder; columns as above."""
    path = folder / "heldout" / VERSION.format(version)
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    _write(unfinished, version, version, groups, shown, readings, prompt)
    unfinished.replace(path)


def _write(
    path: Path,
    step: int,
    version: int,
    groups: Iterable[Group],
    shown: Shown,
    readings: Readings,
    prompt: Prompt,
) -> None:
    rows = [
        {
            **_row(step, version, group, number, shown),
            "prompt": opening,
            "unread": unread[number] if unread else None,
        }
        for group in groups
        for unread, opening in [(readings.get(group.task_id), prompt(group.labelled.task))]
        for number in range(len(group.rollouts))
    ]
    components = dict.fromkeys(key for row in rows for key in row if key.startswith("reward_"))
    schema = pa.schema([*COLUMNS, *((name, pa.float64()) for name in components)])
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), path, compression="zstd")


def _unfinished(folder: Path, step: int) -> Path:
    return (folder / "rollouts" / STEP.format(step)).with_suffix(".unfinished")


def _row(step: int, version: int, group: Group, number: int, shown: Shown) -> dict[str, Any]:
    rollout = group.rollouts[number]
    task, provenance = group.labelled.task, group.labelled.task.provenance
    return {
        "step": step,
        "task_id": task.task_id,
        "rollout": number,
        "kind": provenance.kind,
        "source": provenance.source,
        "vignette": provenance.vignette,
        "operators": list(provenance.operators),
        "tier": provenance.tier,
        "env": task.env,
        "context": msgspec.json.encode(task.context).decode(),
        "truth": msgspec.json.encode(group.labelled.label.truth).decode(),
        "doctor": group.doctor,
        "scored_version": group.newest_version,
        "prompt_ids": group.prompt_ids,
        "shown": list(shown(task, rollout.episode)),
        **_sampled(rollout, version),
        **{f"reward_{name}": value for name, value in rollout.reward.components.items()},
    }


def _sampled(rollout: Rollout, version: int) -> dict[str, Any]:
    completions = [step.completion for step in rollout.steps]
    versions = np.concatenate([one.versions for one in completions])
    episode, reward = rollout.episode, rollout.reward
    return {
        "completion": episode.actions[-1],
        "finish_reason": completions[-1].finish_reason,
        "reward": reward.total,
        "reason": reward.reason,
        "solved": reward.solved,
        "potentials": list(reward.potentials) or None,
        "ended": str(episode.reason),
        "actions": list(episode.actions),
        "replies": msgspec.json.encode(episode.replies).decode(),
        "policy_version_oldest": versions.min(),
        "policy_version_newest": versions.max(),
        "policy_lag": version - versions.min(),
        "engine": completions[-1].engine,
        "token_ids": np.concatenate([one.token_ids for one in completions]),
        "logps": np.concatenate([one.logps for one in completions]),
        "versions": versions,
        "step_tokens": [len(one.token_ids) for one in completions],
        "step_engines": [one.engine for one in completions],
        "observed_ids": np.concatenate([step.observed for step in rollout.steps]),
        "observed_tokens": [len(step.observed) for step in rollout.steps],
    }

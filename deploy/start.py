"""Where a run begins: its folder, its first step, and its plan for people."""

from __future__ import annotations

from pathlib import Path

import yaml

from common.config import RunSpec
from common.records import Record
from deploy import exam
from deploy.plan import staleness
from deploy.run_folder import RunFolder, new_name
from learner import checkpoint


class Start(Record):
    """Where a run begins: step 0, or a checkpoint."""

    version: int = 0
    folder: Path | None = None
    loaded_gap: float | None = None
    scribe_version: int | None = None  # of a trained Scribe in the checkpoint
    scribe_loaded_gap: float | None = None


def starting_point(spec: RunSpec, resume: bool) -> tuple[RunFolder, Start]:
    """The run's folder and first step. Raises ValueError when there is nothing to resume."""
    runs = spec.runs.expanduser().resolve()
    if not resume:
        name = new_name(runs, spec.name)
        fixed = {"name": name, "reward": spec.scoring}  # in numbers: a resume with more steps must not change it
        return RunFolder(spec.model_copy(update=fixed), runs / name), Start()
    path = runs / spec.name
    found = checkpoint.latest(path) if path.is_dir() else None
    if found is None:
        raise ValueError(f"{path} has no checkpoint to resume from: start without --resume")
    if found.manifest.policy_version >= spec.steps:
        raise ValueError(f"{path} has all its {spec.steps} steps: resume with a larger --steps")
    scribe = found.manifest.state.get("scribe", {})
    start = Start(
        version=found.manifest.policy_version,
        folder=found.folder,
        loaded_gap=found.manifest.state.get("loaded_gap"),
        scribe_version=scribe.get("policy_version"),
        scribe_loaded_gap=scribe.get("loaded_gap"),
    )
    return RunFolder(spec, path), start


def plan(spec: RunSpec, folder: Path) -> str:
    """The resolved plan, for people."""
    engines = sum(pool.engines for pool in spec.pools)
    return (
        f"{yaml.safe_dump(spec.model_dump(mode='json'), sort_keys=False)}\n"
        f"# run folder      {folder}\n"
        f"# actors          {engines} engines in {len(spec.pools)} pools, {spec.rollout.scribes} scribes, "
        f"{spec.rollout.doctors} doctors, {spec.learner.ranks} learner ranks, 1 replay buffer\n"
        f"# a step          {spec.learner.batch_groups} groups x {spec.sampling.group_size} completions of at most "
        f"{spec.sampling.max_tokens} tokens\n"
        f"# staleness       {staleness(spec)}\n"
        + (f"# tier C          {exam.planned(spec)}\n" if spec.data.tier_c else "")
    )

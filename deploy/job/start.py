"""Where a run begins, or goes on: its folder and its first step."""

from __future__ import annotations

from pathlib import Path

from common.config import RunSpec
from common.models import check_source
from common.records import Record
from deploy.job.run_folder import RunFolder, new_name
from deploy.report import sinks
from learner import checkpoint


class Start(Record):
    """Where a run begins: step 0, or a checkpoint. `lines` say which, and why, for people."""

    version: int = 0
    folder: Path | None = None
    loaded_gap: float | None = None
    scribe_version: int | None = None  # of a trained Scribe in the checkpoint
    scribe_loaded_gap: float | None = None
    resumed: bool = False
    lines: tuple[str, ...] = ()


def starting_point(spec: RunSpec, resume: bool, file: RunSpec | None = None) -> tuple[RunFolder, Start]:
    """The run's folder and first step; `file` is the user's alone, None when it is the run's own spec.yaml.

    Raises ValueError when there is nothing to resume, no such model, or the sink is not installed.
    """
    sinks.load(spec.metrics.sink)  # now rather than after the warm-up
    check_source(spec.model.source)  # and this before Ray starts
    runs = spec.runs.expanduser().resolve()
    if not resume:
        name = new_name(runs, spec.name)
        return RunFolder(spec.settled.model_copy(update={"name": name}), runs / name, file), Start()
    folder = RunFolder(spec.settled, runs / spec.name, file)
    if applied := folder.applied():
        folder.use(folder.spec.concrete(applied[0].model.dtype))  # the checkpoints are of that dtype
        folder.file = file or applied[1]
    if not folder.journal.is_file():
        raise ValueError(f"{folder.path} has nothing to resume from: start without --resume")
    start = after_newest(folder.path)
    if start.version >= spec.steps:
        raise ValueError(f"{folder.path} has all its {spec.steps} steps: resume with a larger --steps")
    return folder, start


def after_newest(run_folder: Path) -> Start:
    """Where a run that stopped goes on: after its newest whole checkpoint, and at step 1 before the first of them."""
    found = checkpoint.newest(run_folder)
    lines = [f"checkpoint passed over: {fault}" for fault in found.damaged.values()]
    if found.checkpoint is None:
        lines.append("going on at step 1, with the tasks in the journal: there is no whole checkpoint")
        return Start(resumed=True, lines=tuple(lines))
    folder, manifest = found.checkpoint.folder, found.checkpoint.manifest
    scribe = manifest.state.get("scribe", {})
    lines.append(f"going on after step {manifest.step}: {folder} is the newest whole checkpoint")
    return Start(
        version=manifest.policy_version,
        folder=folder,
        loaded_gap=manifest.state.get("loaded_gap"),
        scribe_version=scribe.get("policy_version"),
        scribe_loaded_gap=scribe.get("loaded_gap"),
        resumed=True,
        lines=tuple(lines),
    )

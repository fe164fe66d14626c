"""Where a run begins, or goes on: its folder and its first step."""

from __future__ import annotations

from pathlib import Path

import msgspec

from common.config import RunSpec
from common.errors import os_refusal
from common.models import check_source
from common.paths import path_of
from common.records import Record
from common.sections import BASE
from deploy.job import inputs
from deploy.job.resize import changed_for_resume, refusal
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


def starting_point(
    spec: RunSpec, resume: bool, file: RunSpec | None = None, record: Path | None = None
) -> tuple[RunFolder, Start]:
    """The run's folder and first step; `file` is the user's alone, None when it is the run's own spec.yaml.

    `record` is the folder of that spec.yaml, wherever it lies now. Nothing is written. Raises ValueError when there is
    nothing to resume, what the run depends on was changed (a field, or a data file), there is no such model, or the
    sink is not installed.
    """
    sinks.load(spec.metrics.sink)  # now rather than after the warm-up
    for source in (spec.model.source, *(pool.model for pool in spec.pools if pool.model not in (None, BASE))):
        check_source(source)  # and this before Ray starts
    runs = path_of(spec.runs).resolve()
    if not resume:
        try:
            name = new_name(runs, spec.name)
        except OSError as error:
            raise ValueError(f"runs: {os_refusal(error)}") from None
        folder = RunFolder(spec.settled.model_copy(update={"name": name}), runs / name, file)
        folder.inputs = inputs.inputs_of(folder.spec)
        return folder, Start()
    return _resumed(spec, record.resolve() if record else runs / spec.name, file)


def _resumed(spec: RunSpec, path: Path, file: RunSpec | None) -> tuple[RunFolder, Start]:
    folder = RunFolder(spec.settled, path, file)
    if applied := folder.applied():
        effect, old_file = applied
        kept = spec.settled_for(effect.steps).concrete(effect.model.dtype)
        if changes := changed_for_resume(kept, effect):
            raise ValueError("; ".join(map(refusal, changes)))
        folder.use(kept)
        folder.file = file or old_file
    if not folder.journal.is_file():
        raise ValueError(
            f"{path} has nothing to resume from: start without --resume, or, if the run was moved, name the spec.yaml "
            "in its folder"
        )
    folder.inputs = inputs.inputs_of(folder.spec)
    return folder, going_on(folder)


def going_on(folder: RunFolder) -> Start:
    """Where a run that stopped goes on. Raises ValueError when it has all its steps, or a data file has changed."""
    start = after_newest(folder.path)
    if start.version >= folder.spec.steps:
        raise ValueError(f"{folder.path} has all its {folder.spec.steps} steps: resume with a larger --steps")
    return msgspec.structs.replace(start, lines=(*start.lines, *_compared(folder)))


def _compared(folder: RunFolder) -> list[str]:
    """Compare the data files with those of the run's start; what people should hear of it."""
    kept = inputs.read(folder.path)
    if kept is None and folder.inputs:
        return [f"{folder.path / inputs.FILE} is missing or damaged: data files may have changed since the run began"]
    if changed := inputs.changes(kept or {}, folder.inputs):
        raise ValueError("; ".join(changed))
    return []


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

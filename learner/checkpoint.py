"""Checkpoint folders of a run: `checkpoints/step-00004/`, complete exactly when `manifest.json` stands in them.

    folder = begin(run_folder, step)    # fresh and empty; a torn attempt at the same step is swept away
    ... every rank writes its part below `folder` ...
    commit(folder, ...)                 # writes the manifest last, so a crash before it leaves no checkpoint
    prune(run_folder, keep)             # the newest `keep`, and the best by score, stay

The manifest lists every file with its size: a checkpoint whose files were lost or cut short is refused, not loaded.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from common.records import Record

MANIFEST = "manifest.json"
_FORMAT = 1
_STEP_NAME = re.compile(r"step-\d{5,}")


Score = tuple[float, float]
"""How well the policy judges, never how much reward it earns: (Youden's J, pair accuracy), compared in this order."""


class Manifest(Record):
    """What a complete checkpoint says about itself. `files` maps each relative path to its size in bytes."""

    format: int
    step: int  # optimiser steps taken
    policy_version: int
    ranks: int  # learner processes that wrote their shards; a resume needs as many
    files: dict[str, int]
    state: dict[str, Any]  # what the run's other parts keep, JSON-serialisable
    score: Score | None = None  # None where nothing could be counted


class Checkpoint(Record):
    """A complete checkpoint on disk."""

    folder: Path
    manifest: Manifest


def begin(run_folder: Path, step: int) -> Path:
    """The empty folder in which the ranks write step `step`; whatever stood there is removed first."""
    folder = _root(run_folder) / f"step-{step:05d}"
    if folder.exists():
        _remove(folder)
    folder.mkdir(parents=True)
    return folder


def commit(
    folder: Path,
    *,
    step: int,
    policy_version: int,
    ranks: int,
    state: Mapping[str, Any] | None = None,
    score: Score | None = None,
) -> Checkpoint:
    """Make `folder` a checkpoint: list what was written there, then write the manifest in one rename."""
    files = {str(path.relative_to(folder)): path.stat().st_size for path in sorted(_files(folder))}
    assert files, f"commit of an empty checkpoint {folder}"
    manifest = Manifest(
        format=_FORMAT,
        step=step,
        policy_version=policy_version,
        ranks=ranks,
        files=files,
        state=dict(state or {}),
        score=score,
    )
    temporary = folder / f".{MANIFEST}"
    with temporary.open("wb") as out:
        out.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(folder / MANIFEST)
    return Checkpoint(folder=folder, manifest=manifest)


def latest(run_folder: Path) -> Checkpoint | None:
    """The newest complete checkpoint, None before the first. Raises ValueError when the newest is damaged."""
    complete = _complete(run_folder)
    return read(complete[-1]) if complete else None


def best(run_folder: Path) -> Checkpoint | None:
    """The complete checkpoint of the highest score, the newer of equals; None when none has one. `read` checks it."""
    scored = []
    for folder in _complete(run_folder):
        with suppress(msgspec.DecodeError):  # a damaged one is nobody's best; `read` says what is wrong with it
            manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
            if manifest.score is not None:
                scored.append((manifest.score, manifest.step, Checkpoint(folder=folder, manifest=manifest)))
    return max(scored, key=lambda entry: entry[:2])[2] if scored else None


def oldest_step(run_folder: Path) -> int:
    """The step of the oldest complete checkpoint: no resume goes back further. Asked only when there is one."""
    return _step(_complete(run_folder)[0])


def read(folder: Path) -> Checkpoint:
    """Read and check one checkpoint folder. Raises ValueError, one line that names the file and what to do."""
    path = folder / MANIFEST
    if not path.is_file():
        raise ValueError(f"{folder} is not a complete checkpoint: it has no {MANIFEST}; choose another step- folder")
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} cannot be read ({error}): delete {folder} to resume from the one before") from error
    if manifest.format != _FORMAT:
        raise ValueError(f"{path} has format {manifest.format}, this version reads {_FORMAT}: start a new run name")
    for name, size in manifest.files.items():
        found = (folder / name).stat().st_size if (folder / name).is_file() else None
        if found != size:
            state = "is missing" if found is None else f"has {found} bytes instead of {size}"
            raise ValueError(f"{folder / name} {state}: delete {folder} to resume from the one before")
    return Checkpoint(folder=folder, manifest=manifest)


def prune(run_folder: Path, keep: int) -> list[Path]:
    """Delete complete checkpoints but the newest `keep` and the best, and torn ones older than the newest.

    Returns what was deleted, oldest first.
    """
    assert keep >= 1
    complete, top = _complete(run_folder), best(run_folder)
    kept = {*complete[-keep:], *([top.folder] if top else [])}
    newest = _step(complete[-1]) if complete else -1
    doomed = [folder for folder in _steps(run_folder) if folder not in kept and _step(folder) < newest]
    for folder in doomed:
        _remove(folder)
    return doomed


def _root(run_folder: Path) -> Path:
    return run_folder / "checkpoints"


def _steps(run_folder: Path) -> list[Path]:
    """All step- folders, oldest first."""
    if not _root(run_folder).is_dir():
        return []
    return sorted((path for path in _root(run_folder).iterdir() if _STEP_NAME.fullmatch(path.name)), key=_step)


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def _complete(run_folder: Path) -> list[Path]:
    return [folder for folder in _steps(run_folder) if (folder / MANIFEST).is_file()]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST]


def _remove(folder: Path) -> None:
    # The manifest goes first: a deletion that is cut short leaves a torn folder, never one that looks complete.
    (folder / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder)

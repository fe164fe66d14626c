"""Checkpoint folders of a run: `checkpoints/step-00004/`. A folder of that name is complete unless damaged later.

    folder = begin(run_folder, step)    # step-00004.partial, new and empty; unfinished ones are removed
    ... every rank writes its part below `folder` ...
    commit(folder, ...)                 # manifest, fsync of everything, one rename: a crash leaves all of it or nothing
    prune(run_folder, keep)             # the newest `keep`, and the best by score, stay

The manifest lists every file with its size and sha256. `newest` verifies them all: a checkpoint with a missing,
truncated or changed file is reported and skipped, never loaded. Of the replay buffer and the Scribes' plan only the
step is stored: the journal is replayed to it (actors/journal.py).
"""

from __future__ import annotations

import hashlib
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
_FORMAT = 2
_PARTIAL, _DAMAGED = ".partial", ".damaged"
_STEP_NAME = re.compile(r"step-\d{5,}")


Score = tuple[float, ...]
"""The score of the policy by the run's games; compared like a tuple."""


class File(Record):
    """One file of a checkpoint."""

    bytes: int
    sha256: str


class Manifest(Record):
    """The manifest of a complete checkpoint. `files` has each file by its relative path."""

    format: int
    step: int  # optimiser steps taken
    policy_version: int
    ranks: int  # learner ranks that wrote shards; a resume needs the same number
    files: dict[str, File]
    state: dict[str, Any]  # state of other parts of the run, JSON-serialisable
    score: Score | None = None  # None where it could not be computed


class Checkpoint(Record):
    """A complete checkpoint on disk."""

    folder: Path
    manifest: Manifest


class Found(Record):
    """What `newest` found: the checkpoint to resume from (None if there is none), and the fault of each newer one."""

    checkpoint: Checkpoint | None
    damaged: dict[Path, str]


def begin(run_folder: Path, step: int) -> Path:
    """The empty folder in which the ranks write step `step`; unfinished folders of any step are removed first."""
    discard(run_folder)
    folder = _root(run_folder) / f"step-{step:05d}{_PARTIAL}"
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
    """Make `folder` the checkpoint of its step. It is durable when this returns.

    Raises OSError, with no checkpoint made, when the disk refuses a write or the folder is gone.
    """
    files = {str(path.relative_to(folder)): _described(path) for path in sorted(_files(folder))}
    if not files:
        raise FileNotFoundError(f"{folder} was moved or emptied while the checkpoint was written")
    manifest = Manifest(
        format=_FORMAT,
        step=step,
        policy_version=policy_version,
        ranks=ranks,
        files=files,
        state=dict(state or {}),
        score=score,
    )
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    for path in (folder / MANIFEST, *_folders(folder)):
        _to_disk(path)
    final = folder.with_name(folder.name.removesuffix(_PARTIAL))
    if final.exists():  # left from before the run resumed from an earlier step
        shutil.rmtree(final)
    folder.rename(final)
    _to_disk(final.parent)
    return Checkpoint(folder=final, manifest=manifest)


def newest(run_folder: Path) -> Found:
    """The newest checkpoint of which every file is intact."""
    damaged: dict[Path, str] = {}
    for folder in reversed(_complete(run_folder)):
        try:
            return Found(checkpoint=read(folder), damaged=damaged)
        except ValueError as error:
            damaged[folder] = str(error)
    return Found(checkpoint=None, damaged=damaged)


def set_aside(run_folder: Path, step: int) -> list[Path]:
    """Rename the checkpoints of steps after `step`: a run that resumes there writes its own.

    Returns their new names.
    """
    renamed = []
    for folder in _complete(run_folder):
        if _step(folder) > step:
            aside = folder.with_name(f"{folder.name}{_DAMAGED}")
            shutil.rmtree(aside, ignore_errors=True)
            renamed.append(folder.rename(aside))
    return renamed


def best(run_folder: Path) -> Checkpoint | None:
    """The complete checkpoint of the highest score, the newer of equals; None when none has one. `read` checks it."""
    scored = []
    for folder in _complete(run_folder):
        with suppress(ValueError, RecursionError, OSError):  # a damaged one is never the best; `read` says why
            manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
            if manifest.score is not None:
                scored.append((manifest.score, manifest.step, Checkpoint(folder=folder, manifest=manifest)))
    return max(scored, key=lambda entry: entry[:2])[2] if scored else None


def oldest_step(run_folder: Path, keep: int = 0) -> int:
    """The step of the oldest of the newest `keep` checkpoints (0: of all): no resume goes back further.

    A best one that is older is for export: what a resume from it would need would keep the journal growing. Raises
    OSError when there is none.
    """
    complete = _complete(run_folder)[-keep:]
    if not complete:
        raise FileNotFoundError(f"{_root(run_folder)} was moved or emptied while a checkpoint was written")
    return _step(complete[0])


def read(folder: Path) -> Checkpoint:
    """Read and check one checkpoint folder. Raises ValueError, one line that names the file and what is wrong."""
    path = folder / MANIFEST
    if not path.is_file():
        raise ValueError(f"{folder} is not a complete checkpoint: it has no {MANIFEST}")
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (ValueError, RecursionError, OSError) as error:  # also of bytes that are no text
        raise ValueError(f"{path} cannot be read ({' '.join(str(error).split())})") from error
    if manifest.format != _FORMAT:
        raise ValueError(f"{path} has format {manifest.format}, this version reads {_FORMAT}")
    for name, written in manifest.files.items():
        if not (folder / name).is_file():
            raise ValueError(f"{folder / name} is missing")
        found = (folder / name).stat().st_size
        if found != written.bytes:
            raise ValueError(f"{folder / name} has {found} bytes instead of {written.bytes}")
        if _sha256(folder / name) != written.sha256:
            raise ValueError(f"{folder / name} has changed since it was written (sha256)")
    return Checkpoint(folder=folder, manifest=manifest)


def prune(run_folder: Path, keep: int) -> list[Path]:
    """Delete all checkpoints except the newest `keep` and the best. Returns the deleted ones, oldest first."""
    assert keep >= 1
    complete, top = _complete(run_folder), best(run_folder)
    kept = {*complete[-keep:], *([top.folder] if top else [])}
    doomed = [folder for folder in complete if folder not in kept]
    for folder in doomed:
        # Renamed first, so that an interrupted deletion never leaves a folder that looks complete.
        shutil.rmtree(folder.rename(folder.with_name(f"{folder.name}{_PARTIAL}")))
    return doomed


def discard(run_folder: Path) -> None:
    """Remove a checkpoint that could not be written, to free its space."""
    for torn in _named(run_folder, _PARTIAL):
        shutil.rmtree(torn)


def _root(run_folder: Path) -> Path:
    return run_folder / "checkpoints"


def _named(run_folder: Path, suffix: str) -> list[Path]:
    """The `step-` folders whose names end with the suffix, oldest first."""
    if not _root(run_folder).is_dir():
        return []
    names = (path for path in _root(run_folder).iterdir() if path.name.endswith(suffix))
    return sorted((path for path in names if _STEP_NAME.fullmatch(path.name.removesuffix(suffix))), key=_step)


def _complete(run_folder: Path) -> list[Path]:
    return _named(run_folder, "")


def _step(folder: Path) -> int:
    return int(folder.name.partition(".")[0].removeprefix("step-"))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST]


def _folders(folder: Path) -> list[Path]:
    """Innermost first."""
    return sorted((folder, *(path for path in folder.rglob("*") if path.is_dir())), reverse=True)


def _described(path: Path) -> File:
    _to_disk(path)
    return File(bytes=path.stat().st_size, sha256=_sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

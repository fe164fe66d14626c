"""A run's episodes as tables: what rollout_log.py wrote, whole files only, with a line about each that is damaged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from pyarrow import compute, parquet

from common.files import Lines, listed
from common.records import EndReason, Episode, Reply
from deploy.report.rollout_log import COLUMNS, STEP

_NEEDED = ("step", "task_id", "env", "kind", "reason", "reward", "policy_lag", "engine")
"""Columns that every version has written."""


def forget_after(folder: Path, version: int) -> None:
    """Remove what was written after policy_version `version`, which is trained again."""
    for file in (*step_files(folder), *_heldout_files(folder)):
        if _number(file) > version:
            file.unlink()


def read_heldout(folder: Path) -> Lines[pa.Table]:
    """The held-out episodes of each policy_version, which is their `step`, in order; damaged files as `read_steps`, and
    a line too where the folder may not be read."""
    try:
        files = _heldout_files(folder)
    except ValueError as error:
        return Lines([], [str(error)])
    return _whole((file, parquet.read_table) for file in files)


def read_run(folder: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """All rollouts of a run, in step order, or those of some columns that they have: older runs lack newer ones.

    Files that are damaged are left out, see `read_steps`. Raises ValueError when it has none, or none that is whole.
    """
    return joined(read_steps(folder, columns))


def read_steps(folder: Path, columns: Sequence[str] | None = None) -> Lines[pa.Table]:
    """The rollouts of each step, in order, and a line about each file that is damaged. Raises ValueError without any
    that is whole."""
    read = _whole((file, partial(_read, columns)) for file in step_files(folder))
    if not read.found:
        missing = f"{folder}: no rollouts/step-*.parquet in this folder; give the folder of a run with a step"
        raise ValueError(read.damaged[0] if read.damaged else missing)
    return read


def read_episodes(folder: Path, episodes: Iterable[tuple[int, str]]) -> Lines[pa.Table]:
    """The rollouts of the given (step, task_id), by step, and a line about each file that is damaged."""
    tasks: dict[int, list[str]] = defaultdict(list)
    for step, task_id in episodes:
        tasks[step].append(task_id)
    return _whole(
        (folder / "rollouts" / STEP.format(step), partial(_rows_about, names)) for step, names in sorted(tasks.items())
    )


def joined(tables: Lines[pa.Table]) -> pa.Table:
    """One table, of which there must be some; null where a column is only in others."""
    return pa.concat_tables(tables.found, promote_options="default")


def _read(columns: Sequence[str] | None, file: Path) -> pa.Table:
    return parquet.read_table(file, columns=_known(file, columns))


def _rows_about(task_ids: Sequence[str], file: Path) -> pa.Table:
    return parquet.read_table(file).filter(compute.field("task_id").isin(task_ids))


def _whole(files: Iterable[tuple[Path, Callable[[Path], pa.Table]]]) -> Lines[pa.Table]:
    """What is read of each file; one that cannot be read, or lacks what every version has written, is left out."""
    found, damaged = list[pa.Table](), list[str]()
    for file, read in files:
        try:
            found.append(_checked(read(file)))
        except PermissionError:
            damaged.append(f"{file}: left out, it may not be read; give read permission on it")
        except (pa.ArrowException, ValueError, OSError) as error:
            damaged.append(f"{file}: left out, it is damaged ({' '.join(str(error).split()):.200})")
    return Lines(found, damaged)


def _checked(table: pa.Table) -> pa.Table:
    for name, kind in COLUMNS:
        is_there = name in table.column_names
        if (name in _NEEDED and not is_there) or (is_there and not _alike(table.schema.field(name).type, kind)):
            raise ValueError(f"{name} is not in it as {kind}")
    table.validate(full=True)  # its texts are UTF-8
    return table


def _alike(one: pa.DataType, other: pa.DataType) -> bool:
    """Whether the types are equal, whatever the elements of lists are called."""
    if pa.types.is_list(one) and pa.types.is_list(other):
        return _alike(one.value_type, other.value_type)
    return bool(one == other)


def episode_of(row: Mapping[str, Any]) -> Episode:
    """The episode of a row of `read_run`, as its game scored it.

    Of a run from before episodes had turns: its only action, submitted unless the token limit ended it.
    """
    replies = msgspec.json.decode(row.get("replies") or "[]", type=tuple[Reply, ...])
    ended = row.get("ended") or (EndReason.LENGTH if row["finish_reason"] == "length" else EndReason.SUBMITTED)
    actions = tuple(row.get("actions") or [row["completion"]])
    return Episode(task_id=row["task_id"], actions=actions, replies=replies, reason=EndReason(ended))


def step_files(folder: Path) -> list[Path]:
    """The rollouts of each step of a run, in order. Raises ValueError, one line, where they may not be looked for."""
    return _numbered(folder / "rollouts", "step-*.parquet")


def _heldout_files(folder: Path) -> list[Path]:
    return _numbered(folder / "heldout", "version-*.parquet")


def _numbered(folder: Path, pattern: str) -> list[Path]:
    return sorted((file for file in listed(folder, pattern) if _digits(file).isdecimal()), key=_number)


def _digits(file: Path) -> str:
    return file.stem.partition("-")[2]


def _number(file: Path) -> int:
    return int(_digits(file))


def _known(file: Path, columns: Sequence[str] | None) -> list[str] | None:
    return None if columns is None else [name for name in parquet.read_schema(file).names if name in columns]

"""The files that a run's games read: their fingerprints are kept in the run's folder and compared at `--resume`.

A fingerprint is size and sha256 of the whole content: a game reads and parses its file at every start anyhow, which
takes far longer, and a sample of a large file would miss a change between two samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from common.config import RunSpec
from common.files import read_record, sha256_of, write_whole
from common.paths import is_there
from common.records import Record

FILE = "inputs.json"


class Input(Record):
    """A file as it was when the run began."""

    path: str
    bytes: int
    sha256: str


Inputs = Mapping[str, Input]
"""By the field of the spec that names the file. A file that is not there is left out: its game says what is missing."""


def inputs_of(spec: RunSpec) -> dict[str, Input]:
    """The files that the games of a spec read, as they are now. Raises ValueError for one that cannot be read."""
    named = {f"envs.{env.id}.{field}": path for env in spec.envs for field, path in env.inputs.items()}
    return {field: _input(field, path) for field, path in named.items() if is_there(path)}


def changes(kept: Inputs, now: Inputs) -> list[str]:
    """One line for each file that is not what it was; what the run did not read when it began is new, not changed."""
    return [_change(field, was, now.get(field)) for field, was in kept.items() if not _same(was, now.get(field))]


def write(run: Path, inputs: Inputs) -> None:
    """Keep them in the run's folder."""
    write_whole(run / FILE, msgspec.json.encode(inputs))


def read(run: Path) -> dict[str, Input] | None:
    """What `write` kept. None where nothing can be compared: an older run, or a damaged file."""
    found: dict[str, Input] | None = read_record(run / FILE, dict[str, Input])
    return found


def _input(field: str, path: Path) -> Input:
    try:
        sha256 = sha256_of(path)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return Input(path=str(path), bytes=sum(file.stat().st_size for file in files), sha256=sha256)


def _same(was: Input, now: Input | None) -> bool:
    return now is not None and (was.bytes, was.sha256) == (now.bytes, now.sha256)


def _change(field: str, was: Input, now: Input | None) -> str:
    found = f"{now.sha256:.12} ({now.bytes} bytes)" if now else "no such file"
    path = now.path if now else was.path
    return (
        f"{field}: {path} has changed since the run began: sha256 {was.sha256:.12} ({was.bytes} bytes) -> {found}; put "
        "the old file back, or start a new run with another name"
    )

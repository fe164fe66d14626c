"""The flags of `evals.run` as settings: the engine's spec, the notes to ask about, the subset."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from common.config import RunSpec
from common.spec_file import spec_file
from envs.verdict.data.medec import Note


def read_spec(path: Path | None, model: str, temperature: float, max_tokens: int) -> RunSpec:
    """The engine's settings: the file at `path` or the defaults, with the flags on top. Raises ValueError, one line."""
    content: object = {}
    if path is not None:
        path = spec_file(path)
        try:
            content = yaml.safe_load(path.read_text())
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: not YAML: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds no settings; write what differs from the defaults")
    try:
        spec = RunSpec(**content)
        policy = spec.model.model_copy(update={"source": model})
        flags = {"temperature": temperature, "max_tokens": max_tokens}
        spec = spec.model_copy(update={"model": policy, "sampling": spec.sampling.model_copy(update=flags)})
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(step) for step in problem["loc"])
        raise ValueError(f"{path}: {where}: {problem['msg']}") from None
    if max_tokens >= spec.model.context:
        raise ValueError(f"--max-tokens {max_tokens} leaves no room for a prompt in model.context {spec.model.context}")
    return spec.concrete()


def chosen(notes: list[Note], limit: int | None) -> list[Note]:
    """All notes, or the first `limit` in an order by a hash of the vignette: twins stay together."""
    if limit is None:
        return notes
    return sorted(notes, key=lambda n: (hashlib.sha256(f"limit:{n.vignette}".encode()).digest(), n.note_id))[:limit]


def subset_ids(path: Path, notes: Sequence[Note], limited: bool) -> set[str]:
    """The ids in a file, one per line, `#` before a comment. Raises ValueError for one that is no note, or for none."""
    try:
        lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError):
        raise ValueError(f"{path}: cannot be read; write a text file with one note id a line") from None
    known = {note.note_id for note in notes}
    for number, line in enumerate(lines, 1):
        if line and line not in known and not limited:
            raise ValueError(f"{path}:{number}: {line[:40]!r} is no note of --data; write its Text ID")
    if not known.intersection(lines):
        raise ValueError(f"{path}: names none of the notes; write one Text ID a line")
    return known.intersection(lines)

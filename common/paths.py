"""Paths that people write: in a spec, a flag or a variable. One function reads them all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator

from common.flags import path_of as path_of

_BESIDE: ContextVar[Path | None] = ContextVar("beside", default=None)


def input_path(written: str | Path) -> Path:
    """As `path_of`, of something to read: a relative path is looked for in the working directory, then beside the spec
    (`beside`). What is found is made absolute, so that a run finds it again from everywhere; its links stay links."""
    path = path_of(written)
    for folder in (Path.cwd(), _BESIDE.get()):
        if folder is not None and is_there(folder / path):
            return folder / path
    return path


@contextmanager
def beside(folder: Path) -> Iterator[None]:
    """Inside, `input_path` also looks in `folder`."""
    token = _BESIDE.set(folder.absolute())
    try:
        yield
    finally:
        _BESIDE.reset(token)


def is_there(path: Path) -> bool:
    """Whether the path names something; nothing that is wrong with it is raised."""
    try:
        return path.exists()
    except OSError:  # a name that is too long, or a link to itself
        return False


def _checked(value: object) -> object:
    if isinstance(value, str | Path):
        path_of(value)
    return value


PathTo = Annotated[Path, BeforeValidator(_checked)]
"""A field that holds a path, which `path_of` reads: it stays as written, since another machine has another home."""
InputPath = Annotated[Path, BeforeValidator(_checked), AfterValidator(input_path)]
"""A field that holds the path of something to read."""


def inputs_among(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """Every path in `section` that a field of type InputPath holds, by the field's dotted name."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from inputs_among(value, f"{prefix}{name}.")
        elif isinstance(value, Path) and _is_input(field.rebuild_annotation()):
            yield f"{prefix}{name}", value


def _is_input(annotation: Any) -> bool:
    return annotation == InputPath or any(map(_is_input, get_args(annotation)))

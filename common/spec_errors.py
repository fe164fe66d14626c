"""What is wrong with a field of a spec, as pydantic finds it, in a line for people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from common.command_line import alike, meant
from common.config import RunSpec

UNKNOWN_FIELD = "extra_forbidden"
_TWICE = re.compile(r", unable to parse string as .*|, got a number with a fractional part")
"""What pydantic adds to a sentence that says it already."""


def problems(error: ValidationError) -> list[Any]:
    """`error.errors()` without those that only follow from a mistake further inside."""
    found = error.errors()
    places = [problem["loc"] for problem in found]
    return [one for one in found if not any(one["loc"] == at[: len(one["loc"])] != at for at in places)]


def problem_line(problem: Any, known: Sequence[str] = ()) -> str:
    """One of `problems`; `known` are the fields of the section that has an unknown one."""
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == UNKNOWN_FIELD:
        names = dict.fromkeys([*known, *_dotted(RunSpec), *RunSpec.model_fields])
        close = alike(str(problem["loc"][-1]), names)
        return f"{where}: unknown field" + (meant(close) or (f"; write {', '.join(known)}" if known else ""))
    message = _TWICE.sub("", problem["msg"].removeprefix("Value error, "))
    shown = repr(problem["input"])
    hidden = problem["type"] == "missing" or isinstance(problem["input"], (dict, BaseModel)) or shown in message
    given = "" if hidden else f", not {shown}"
    return f"{where}: {message}{given}" if where else message


def _dotted(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The fields of all sections, as they are written after `--`."""
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _dotted(field.annotation, f"{prefix}{name}.")
        elif prefix:
            yield f"{prefix}{name}"

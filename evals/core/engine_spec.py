"""The flags of `evals.run` as the settings of an engine."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from common.config import RunSpec
from common.files import read_object
from common.sections import EnvSettings
from common.spec_errors import problem_line, problems
from common.spec_file import read_settings, spec_file

CONTEXT = 4096
"""Of the engine of a suite of episodes without a --spec: the longest take almost that. Models may have fewer."""
Game = TypeVar("Game", bound=EnvSettings)


def read_spec(
    path: Path | None, model: str, temperature: float, max_tokens: int | None, defaults: Mapping[str, Any] | None = None
) -> RunSpec:
    """The engine's settings: the file at `path` or the defaults, with the flags on top; `max_tokens` None leaves the
    file's.

    `defaults` are what a suite changes in those of a spec where no file is given. Raises ValueError, one line.
    """
    content = dict(defaults or {})
    if path is not None:
        path = spec_file(path)
        content = read_settings(path)
    try:
        spec = RunSpec(**content)
        policy = spec.model.model_copy(update={"source": model})
        most = spec.sampling.max_tokens if max_tokens is None else max_tokens
        flags = {"temperature": temperature, "max_tokens": most}
        spec = spec.model_copy(update={"model": policy, "sampling": spec.sampling.model_copy(update=flags)})
    except ValidationError as error:
        raise ValueError(f"{path}: {problem_line(problems(error)[0])}") from None
    if most >= spec.model.context:
        raise ValueError(f"--max-tokens {most} leaves no room for a prompt in model.context {spec.model.context}")
    return spec.concrete()


def of_game(args: Namespace, default: Game) -> tuple[RunSpec, Game]:
    """The engine's settings for a suite of episodes, and its game as the spec plays it, else `default`.

    Raises ValueError, one line.
    """
    defaults = {"envs": [{"id": args.suite}], "model": {"context": CONTEXT}}
    spec = read_spec(args.spec, args.model or "", args.temperature, args.max_tokens, defaults)
    return spec, next((one for one in spec.envs if isinstance(one, type(default))), default)


def changed(game: Game, **fields: Any) -> Game:
    """The game with other settings. Raises ValueError, one line, where they do not go together."""
    try:
        return type(game).model_validate({**game.model_dump(), **fields})
    except ValidationError as error:
        raise ValueError(problem_line(problems(error)[0])) from None


def fitting(spec: RunSpec, folder: Path) -> RunSpec:
    """The spec with a context of at most the positions that the model in `folder` has, where it says how many."""
    file = folder / "config.json"
    config = read_object(file) if file.is_file() else {}
    positions = config.get("text_config", config).get("max_position_embeddings", spec.model.context)
    policy = spec.model.model_copy(update={"context": min(spec.model.context, positions)})
    return spec.model_copy(update={"model": policy})

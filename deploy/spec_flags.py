"""The fields of a spec as flags and environment variables; a game's by its id: --envs.NAME.weight."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field, create_model, model_validator
from pydantic_settings import BaseSettings, CliSuppress, PydanticBaseSettingsSource, SettingsConfigDict

from common.config import RunSpec
from common.sections import EnvSettings, Section
from common.spec_file import spec_file
from envs.contract import registry
from envs.contract.spec import OLD, by_id, settings_of

PREFIX = "MEDSERL_"
SHORT = {"data": ("data", "path"), "skip_bad_rows": ("data", "skip_bad_rows")}
"""Flags without a game's name -> the field that they set, of the only game that has it."""

Games = dict[str, type[EnvSettings]]


class _Settings(BaseSettings, RunSpec):
    model_config = SettingsConfigDict(
        extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__", use_attribute_docstrings=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The spec file comes in as init arguments and is the weakest; flags are put in front by pydantic-settings.
        return env_settings, init_settings

    @model_validator(mode="before")
    @classmethod
    def _nulls(cls, content: Any) -> Any:
        """The flag value `null` of a field that holds a pair arrives as an empty list."""
        return _without_lists_of_nothing(content)


def _without_lists_of_nothing(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _without_lists_of_nothing(value) for name, value in content.items()}
    return None if content == [None] else content


def settings_with(games: Games) -> type[_Settings]:
    """Every field of a spec that plays some of `games`. Its `envs` is read from a mapping by id."""
    fields: dict[str, Any] = {
        env_id: (_flags(env_id, cls) | None, Field(None, description=cls.__doc__)) for env_id, cls in games.items()
    }
    envs = create_model("Envs", __base__=Section, **fields)
    played = Annotated[envs, AfterValidator(lambda found: tuple(one for _, one in found if one is not None))]
    doc = "The games. As a flag: their names, or as in a spec."
    made: type[_Settings] = create_model("Settings", __base__=_Settings, envs=(played, Field(description=doc)))
    return made


def _flags(env_id: str, settings: type[EnvSettings]) -> Any:
    """The settings without flags for the fields that name the game."""
    named: dict[str, Any] = {
        "id": (CliSuppress[str], env_id),
        "class_": (CliSuppress[str | None], Field(None, alias="class")),  # type: ignore[misc]  # an Annotated alias
    }
    return create_model(settings.__name__, __base__=settings, __doc__=settings.__doc__, **named)


def games_among(arguments: Iterable[str]) -> Games:
    """This project's games, and those of the spec named in the arguments."""
    found: Games = {env_id: registry.settings_of(registry.game(env_id)) for env_id in registry.GAMES}
    for word in arguments:
        if not word.startswith("-"):
            found |= _of_file(word)
    return found


def _of_file(word: str) -> Games:
    """None where it is not a spec, or one with a mistake, which is reported when it is read."""
    try:
        content = yaml.safe_load(spec_file(Path(word)).read_text())
        return games_of(content) if isinstance(content, dict) else {}
    except (ValueError, yaml.YAMLError):
        return {}


def games_of(content: Mapping[str, Any]) -> Games:
    """The games that a spec plays, in its order. Raises ValueError for an unknown game."""
    return {env_id: settings_of(env_id, one) for env_id, one in by_id(content.get("envs", ())).items()}


def with_games(content: dict[str, Any], parsed: Namespace) -> dict[str, Any]:
    """The content of a spec with its games by id; the flag `--envs` overrides which games. Short flags among the
    parsed ones become the flags that they abbreviate.

    Raises ValueError, one line, for an unknown game, and for a flag of a game that the run does not play.
    """
    given = vars(parsed)
    named = by_id(yaml.safe_load(given.pop("envs")) if "envs" in given else content.get("envs", ()))
    for flag in sorted(given):
        env_id = flag.split(".")[1] if flag.startswith("envs.") else ""
        if env_id and env_id not in named:
            raise ValueError(f"--{flag}: this run plays {', '.join(named)}; add {env_id} to envs in the spec")
    for flag, field in SHORT.items():
        if (value := given.pop(flag, None)) not in (None, False):
            owner = _owner(games_of({"envs": named}), field, flag)
            setattr(parsed, f"envs.{owner}.{'.'.join(field)}", str(value))
    return {**content, "envs": named}


def _owner(games: Games, field: tuple[str, str], flag: str) -> str:
    section, name = field
    owners = [env_id for env_id, cls in games.items() if name in _fields_of(cls, section)]
    if len(owners) == 1:
        return owners[0]
    typed = f"--{flag.replace('_', '-')}"
    if not owners:
        raise ValueError(f"{typed}: no game of this run has {section}.{name}")
    flags = " or ".join(f"--envs.{env_id}.{section}.{name}" for env_id in owners)
    raise ValueError(f"{typed}: {' and '.join(owners)} have it; write {flags}")


def _fields_of(settings: type[EnvSettings], section: str) -> Mapping[str, Any]:
    field = settings.model_fields.get(section)
    return getattr(field and field.annotation, "model_fields", {})


def refuse_old_variables() -> None:
    """Raises ValueError for a variable of a section that now belongs to a game."""
    for name in sorted(os.environ):
        section, _, field = name.removeprefix(PREFIX).partition("__")
        if name.startswith(PREFIX) and section.lower() in OLD:
            moved = f"{PREFIX}ENVS__{registry.DEFAULT.upper()}__{section}__{field}" if field else f"{PREFIX}ENVS__..."
            raise ValueError(f"environment: {name}: settings of a game carry its id; write {moved}")
    if f"{PREFIX}ENVS" in os.environ:
        raise ValueError(f"environment: {PREFIX}ENVS: write the games into the spec, or give --envs")

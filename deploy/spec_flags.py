"""The fields of a spec as flags and environment variables; a game's by its id: --envs.NAME.weight."""

from __future__ import annotations

import functools
import os
from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, create_model, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    CliSuppress,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from common.config import RunSpec
from common.paths import path_of
from common.sections import EnvSettings, Section
from common.spec_file import read_settings, spec_file
from common.yaml_text import NULLS, parse_yaml
from envs.contract import registry
from envs.contract.spec import OLD, by_id, settings_of

PREFIX = "MEDSERL_"
SHORT = {"data": ("data", "path"), "skip_bad_rows": ("data", "skip_bad_rows")}
"""Flags without a game's name -> the field that they set, of the only game that has it."""

Games = dict[str, type[EnvSettings]]


class EnvironmentVariables(EnvSettingsSource):
    """Environment variables, whose values are read as YAML is: nothing has four spellings, no key stands twice."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        self.env_vars = {name: None if value in NULLS else value for name, value in self.env_vars.items()}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """A section or a list. Raises ValueError."""
        return parse_yaml(value)


class Flags(CliSettingsSource[Any]):
    """Flags, whose values are read in the same way."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """A section or a list. Raises ValueError."""
        return parse_yaml(value)


def with_nulls(parsed: Namespace) -> Namespace:
    """The parsed flags with every spelling of nothing as the one that pydantic-settings knows."""

    def spelled(value: Any) -> Any:
        if isinstance(value, list):
            return [spelled(one) for one in value]
        return NULLS[0] if isinstance(value, str) and value in NULLS else value

    return Namespace(**{name: spelled(value) for name, value in vars(parsed).items()})


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
        return EnvironmentVariables(settings_cls), init_settings

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
    return _settings_with(tuple(games.items()))


@functools.cache
def _settings_with(games: tuple[tuple[str, type[EnvSettings]], ...]) -> type[_Settings]:
    fields: dict[str, Any] = {
        env_id: (_flags(env_id, cls) | None, Field(None, description=cls.__doc__)) for env_id, cls in games
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


LARGEST_SPEC = 1 << 16
"""Bytes. A word among the arguments may also be a file of notes, which takes many seconds to be read as YAML."""


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
        file = spec_file(path_of(word))
        is_spec = file.is_file() and file.stat().st_size <= LARGEST_SPEC
        return games_of(read_settings(file)) if is_spec else {}
    except (ValueError, OSError):
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
    named = by_id(_typed("envs", given.pop("envs")) if "envs" in given else content.get("envs", ()))
    for flag in sorted(given):
        env_id = flag.split(".")[1] if flag.startswith("envs.") else ""
        if env_id and env_id not in named:
            raise ValueError(f"--{flag}: this run plays {', '.join(named)}; add {env_id} to envs in the spec")
    for flag, field in SHORT.items():
        if (value := given.pop(flag, None)) not in (None, False):
            owner = _owner(games_of({"envs": named}), field, flag)
            setattr(parsed, f"envs.{owner}.{'.'.join(field)}", str(value))
    return {**content, "envs": named}


def _typed(flag: str, value: str) -> Any:
    """What a flag's value says, as YAML."""
    try:
        return parse_yaml(value)
    except ValueError as error:
        raise ValueError(f"--{flag}: {error}") from None


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


def variables() -> dict[str, str]:
    """The environment variables of a spec, in capitals, each with the name that it was set by: case does not matter.

    Raises ValueError for one that is set in two spellings.
    """
    found: dict[str, str] = {}
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX):
            if name.upper() in found:
                raise ValueError(f"environment: {name} and {found[name.upper()]} are the same field: unset one")
            found[name.upper()] = name
    return found


def refuse_old_variables() -> None:
    """Raises ValueError for a variable of a section that now belongs to a game."""
    found = variables()
    for name in found:
        section, _, field = name.removeprefix(PREFIX).partition("__")
        if section.lower() in OLD:
            moved = f"{PREFIX}ENVS__{registry.DEFAULT.upper()}__{section}__{field}" if field else f"{PREFIX}ENVS__..."
            raise ValueError(f"environment: {found[name]}: settings of a game carry its id; write {moved}")
    if (name := f"{PREFIX}ENVS") in found:
        raise ValueError(f"environment: {found[name]}: write the games into the spec, or give --envs")

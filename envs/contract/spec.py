"""The games of a spec: the forms that `envs` may have, and the settings that they mean.

envs: verdict                                            one game as it is
envs: [verdict, contradiction]                           several, of equal weight
envs: [{id: verdict, weight: 2, data: {path: a.csv}}]    with settings
envs: [{class: my_package.my_module:MyGame}]             a game from outside this project
envs: {verdict: {data: {path: a.csv}}}                   by id, as flags and environment variables name them
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, cast

import yaml
from pydantic import ValidationError, create_model

from common.sections import EnvSettings, Section
from common.spec_errors import problem_line, problems
from common.yaml_text import parse_yaml
from envs.contract import registry

OLD = ("env", "data", "reward")
"""Top-level sections of older specs; their fields now belong to the game."""

Content = Mapping[str, Any]


def read(given: object) -> tuple[EnvSettings, ...]:
    """The settings of each game that `given` names.

    Raises ValueError, or pydantic's ValidationError with places like `verdict.data.path`.
    """
    written = by_id(given)
    found = _model(tuple((env_id, settings_of(env_id, content)) for env_id, content in written.items()))(**written)
    return tuple(getattr(found, env_id) for env_id in written)


@cache
def _model(games: tuple[tuple[str, type[EnvSettings]], ...]) -> type[Section]:
    """One field per game, so that a mistake is reported at `verdict.data.path`."""
    fields: dict[str, Any] = {env_id: (settings, ...) for env_id, settings in games}
    return create_model("Envs", __base__=Section, **fields)


def named(names: Sequence[str], settings: str) -> tuple[EnvSettings, ...]:
    """The settings of games named on a command line by id or `package.module:Class`, all of this project by default.

    `settings`, YAML, are those of one named game. Raises ValueError, one line.
    """
    given = parse_yaml(settings)
    if not isinstance(given, Mapping):
        raise ValueError(f"--settings {settings}: write fields of the game, for example '{{weight: 2}}'")
    if given and len(names) != 1:
        raise ValueError("--settings are of one game: name one ENV")
    written = [{"class" if ":" in name else "id": name, **given} for name in names or registry.GAMES]
    try:
        return read(written)
    except ValidationError as error:
        lines = [problem_line(one, _fields_beside(one["loc"], by_id(written))) for one in problems(error)]
        raise ValueError(f"--settings: {'; '.join(lines)}") from None


def _fields_beside(place: Sequence[int | str], written: Mapping[str, Any]) -> Sequence[str]:
    """The fields of a game that stand where a mistake is, where that is not in one of its sections."""
    env_id = str(place[0])
    return sorted(settings_of(env_id, written[env_id]).model_fields) if len(place) == 2 else ()


def by_id(given: object = ()) -> dict[str, Any]:
    """The settings as written, by the id of their game and including it; of the default game without an argument.

    Raises ValueError, one line.
    """
    listed = _listed(given)
    if not listed and given != ():
        raise ValueError(f"no game is listed; name one, or leave envs out to play {registry.DEFAULT}")
    found: dict[str, Any] = {}
    for item in listed or [registry.DEFAULT]:
        env_id, content = _named(item)
        if env_id in found:
            raise ValueError(f"the game {env_id} is listed twice; raise its weight instead")
        found[env_id] = content
    return found


def settings_of(env_id: str, content: object) -> type[EnvSettings]:
    """The class of the settings of a game. Raises ValueError when there is no such game."""
    if isinstance(content, EnvSettings):
        return type(content)
    path = cast(Content, content).get("class")
    return registry.settings_of(registry.load(path) if path else registry.game(env_id))


def _listed(given: object) -> list[object]:
    if isinstance(given, Mapping) and not given.keys() & {"id", "class"}:
        return [_with_id(env_id, content) for env_id, content in given.items()]
    if isinstance(given, Sequence) and not isinstance(given, str):
        return list(given)
    return [given]


def _with_id(env_id: str, content: object) -> object:
    if isinstance(content, Mapping | None):
        return {"id": env_id, **(content or {})}
    raise ValueError(f"{env_id}: write its settings, for example {env_id}: {{weight: 2}}")


def _named(item: object) -> tuple[str, object]:
    if isinstance(item, EnvSettings):
        return item.id, item
    if isinstance(item, str):
        item = {"id": item}
    if not isinstance(item, Mapping) or not (item.get("id") or item.get("class")):
        raise ValueError("write a game's name, or its settings with id: NAME or class: package.module:Class")
    if not item.get("class"):
        return str(item["id"]), dict(item)
    env_id: str = registry.load(str(item["class"])).env_id
    if item.get("id", env_id) != env_id:
        raise ValueError(f"class {item['class']} is the game {env_id}, not {item['id']}: leave id out")
    return env_id, {**item, "id": env_id}


def refuse_moved(content: Content) -> None:
    """Raises ValueError for a spec of the older form, with what to write instead."""
    if old := [name for name in OLD if name in content]:
        written = yaml.safe_dump([_moved(content)], default_flow_style=True, sort_keys=False, width=10_000).strip()
        raise ValueError(
            f"settings of a game belong to its entry in envs; instead of {', '.join(old)} write envs: {written}"
        )


def _moved(content: Content) -> dict[str, Any]:
    """The entry of `envs` for the old sections, without defaults."""
    env_id = str(content.get("env", registry.DEFAULT))
    settings = registry.settings_of(registry.game(env_id))
    data = content.get("data")
    loose = {"data": data, "reward": content.get("reward"), **(data if isinstance(data, Mapping) else {})}
    kept = {name: value for name, value in loose.items() if name in settings.model_fields and value is not None}
    with suppress(ValidationError):  # shown as written: a mistake is reported once it is in its new place
        kept = settings(id=env_id, **kept).model_dump(mode="json", exclude_defaults=True)
    return {"id": env_id, **kept}

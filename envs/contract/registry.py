"""Games by id: those of this project, and those that installed packages offer as entry points of the group GROUP.

A game is imported when it is requested, so that using one loads no other.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any

from common.sections import EnvSettings
from envs.contract.env import Checker, Environment
from envs.contract.mixture import Mixture

GROUP = "medserl.envs"
GAMES = {
    "clinic": "envs.clinic.environment:Clinic",
    "contradiction": "envs.contradiction.environment:Contradiction",
    "lookup": "envs.lookup.environment:Lookup",
    "oversight": "envs.oversight.environment:Oversight",
    "verdict": "envs.verdict.environment:VerdictEnvironment",
}
DEFAULT = "verdict"
"""The game of a run whose spec names none."""


def games() -> dict[str, str]:
    """The games that a spec may name, each with its `package.module:Class`.

    Raises ValueError when an installed package offers one under an id of ours.
    """
    installed = {entry.name: entry.value for entry in entry_points(group=GROUP)}
    if taken := installed.keys() & GAMES.keys():
        name = min(taken)
        raise ValueError(f"{installed[name]}: an installed package offers it as {name}, a game of this project")
    return GAMES | installed


def game(env_id: str) -> type[Any]:
    """The class of the game `env_id`. Raises ValueError, one line, when there is none."""
    if env_id in GAMES:  # before listing installed packages, which takes time
        return load(GAMES[env_id])
    known = games()
    if env_id not in known:
        raise ValueError(
            f"unknown game {env_id!r}; write one of {', '.join(sorted(known))}, or class: package.module:Class"
        )
    return load(known[env_id])


def load(path: str) -> type[Any]:
    """The game at `package.module:Class`. Raises ValueError, one line, when there is none."""
    module, _, name = path.partition(":")
    if not module or not name:
        raise ValueError(f"class {path}: write package.module:Class")
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ValueError(
            f"class {path}: no module {error.name} is installed, in the working directory or on PYTHONPATH"
        ) from None
    found = getattr(imported, name, None)
    if not isinstance(found, type) or not isinstance(getattr(found, "env_id", None), str):
        raise ValueError(f"class {path}: {module} holds no class {name} with an env_id")
    return found


def settings_of(found: type[Any]) -> type[EnvSettings]:
    """The settings class of a game: its `Settings`, or the common ones."""
    settings: type[EnvSettings] = getattr(found, "Settings", EnvSettings)
    return settings


def class_of(settings: EnvSettings) -> type[Any]:
    """The class of the game that has these settings. Raises ValueError when there is none."""
    return load(settings.class_) if settings.class_ else game(settings.id)


def make(settings: EnvSettings, seed: int) -> Environment:
    """The game with these settings; its plan depends on `seed`. Raises ValueError when they cannot be used."""
    environment = class_of(settings)(settings, seed)
    assert isinstance(environment, Environment), settings.id
    return environment


def environment_of(games: Sequence[EnvSettings], seed: int) -> Environment:
    """A run's environment: its only game, or a mixture of all its games. Raises ValueError like `make`."""
    made = {settings.id: make(settings, seed) for settings in games}
    if len(made) == 1:
        return next(iter(made.values()))
    examined = next((settings.id for settings in games if settings.needs_verifier), "")
    return Mixture(made, [settings.weight for settings in games], seed, examined)


def checker(settings: EnvSettings) -> Checker | None:
    """The independent checker of the game's labels, None where it has none. Raises ValueError like `make`."""
    if not settings.checker:
        return None
    module, _, name = settings.checker.partition(":")
    made = getattr(importlib.import_module(module), name)(settings)
    assert isinstance(made, Checker), settings.id
    return made

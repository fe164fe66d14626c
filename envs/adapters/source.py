"""A game as the doors offer it: its tasks by number, each made by rule, with the label that its score needs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, Literal, TypeVar, get_args

from pydantic import ValidationError

from common.records import LabelledTask
from common.sections import EnvSettings
from envs.contract import registry, spec
from envs.contract.by_rule import tasks_by_rule
from envs.contract.calls import Syntax
from envs.contract.env import Environment
from envs.contract.listing import Listing
from envs.contract.tool_game import ToolSettings

Split = Literal["train", "public"]
SPLITS: tuple[str, ...] = get_args(Split)
RELEASE = "release"
"""The split of the tasks that a game lists by name (`envs.contract.listing`), where it does."""
PUBLIC_SEED = 0x5EED
"""The seed of the public tasks, which are the same for everybody."""
_TRIES = 100
_Made = TypeVar("_Made")


class Source:
    """One game, for any number of sessions at a time: it keeps nothing between two calls.

    `train` tasks are those of a training run with the same settings and seed, `public` ones those of a fixed seed, for
    figures that are to be compared. No door serves held-out tasks: whoever plays one learns its label.
    """

    def __init__(self, settings: EnvSettings, seed: int = 0) -> None:
        self.settings, self._seed = settings, seed
        self.env = registry.make(settings, seed)

    @property
    def name(self) -> str:
        """The game's env_id."""
        return self.env.env_id

    @property
    def syntax(self) -> Syntax:
        """How calls are written in the game's replies."""
        return self.settings.call_syntax if isinstance(self.settings, ToolSettings) else "python"

    def labelled(self, index: int, split: str = "train") -> tuple[int, LabelledTask]:
        """The first task from slot `index` of the plan on that can be made without a model, and its slot.

        Of the split `release` the task at that place of the game's list, which begins anew after its end. Raises
        ValueError for a split that is not served, and where no task can be made.
        """
        if split == RELEASE:
            return index, self._listed(index)
        env = self._of(split)
        for start in range(index, index + _TRIES, 2):
            made = _result(tasks_by_rule(env, lambda at, start=start: env.plan(start + at), 1))  # type: ignore[misc]
            if made:
                slot, labelled = made[0]
                return slot.index, labelled
        raise ValueError(f"the game {self.name} can make none of the tasks {index} to {index + _TRIES - 1} by rule")

    def _listed(self, index: int) -> LabelledTask:
        names = self.env.release() if isinstance(self.env, Listing) else ()
        if not names:
            raise ValueError(f"the game {self.name} lists no release tasks: write split {' or '.join(SPLITS)}")
        assert isinstance(self.env, Listing)
        return self.env.release_task(names[index % len(names)])

    def _of(self, split: str) -> Environment:
        if split == "train":
            return self.env
        if split == "public":
            return self._public
        raise ValueError(f"split {split!r}: a door serves {' or '.join(SPLITS)} tasks, never held-out ones")

    @cached_property
    def _public(self) -> Environment:
        return registry.make(self.settings, PUBLIC_SEED)


def source_of(game: str | Source, seed: int = 0, **settings: Any) -> Source:
    """The game of that id or `package.module:Class`, with settings of its own. A Source is given back as it is.

    Raises ValueError, one line, for a game or a setting that does not exist.
    """
    if isinstance(game, Source):
        return game
    try:
        (found,) = spec.read([{"class" if ":" in game else "id": game, **settings}])
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise ValueError(f"{place}: {problem['msg'].removeprefix('Value error, ')}") from None
    return Source(found, seed)


def _result(coroutine: Coroutine[Any, Any, _Made]) -> _Made:
    """In a thread of its own: a caller's thread may run an event loop already, as a notebook's does."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, coroutine).result()

"""Several games in one run. Each pair of twins (slots 2k and 2k+1) is of one game, drawn by the seed and the weights.

    pair k of the run       0            1                2            3
    its game                verdict      contradiction    verdict      verdict
    its pair of that game   0            0                1            2

So every game plays its own plan in order, independent of the other games, and a slot's game follows from its index. Ids
of tasks and vignettes begin with the game's id, so that those of two games never collide.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from typing import NamedTuple

import msgspec

from common.records import Episode, Label, LabelledTask, Rejection, Reply, Reward, Task
from envs.contract.env import Act, Ask, Complete, Done, Environment, Exam, Slot, State, Turn
from envs.contract.report import Report

SEPARATOR = ":"


class _Inner(NamedTuple):
    """Where an episode is: its game, and that game's own state."""

    env: str
    state: State


class Mixture:
    """One environment made of several, by id; each is played in proportion to its weight.

    `examined` is the game that asks a verifier, if there is one.
    """

    env_id = "mixture"

    def __init__(
        self, games: Mapping[str, Environment], weights: Sequence[float], seed: int, examined: str = ""
    ) -> None:
        assert len(games) == len(weights)
        self._games, self._weights, self._examined = dict(games), tuple(weights), examined
        self._draw = random.Random(f"{seed}:mixture")
        self._pairs: list[tuple[str, int]] = []  # of each pair of the run: its game, and its place in that game's plan
        self._drawn = Counter[str]()

    @property
    def notice(self) -> str:
        """The notices of the games, each beginning with its id."""
        notices = ((env_id, game.notice) for env_id, game in self._games.items())
        return "; ".join(text if text.startswith(env_id) else f"{env_id}: {text}" for env_id, text in notices)

    @property
    def reports(self) -> Mapping[str, Report]:
        """The games' lines, joined."""
        return {env_id: game.reports[env_id] for env_id, game in self._games.items()}

    def plan(self, index: int) -> Slot:
        """The index-th slot, from the plan of its game."""
        env_id, own = self._place(index)
        return msgspec.structs.replace(self._games[env_id].plan(own), index=index, env=env_id)

    def heldout_plan(self, index: int) -> Slot:
        """The same, from the game's held-out plan. Raises ValueError where a game keeps nothing back."""
        env_id, own = self._place(index)
        return msgspec.structs.replace(self._games[env_id].heldout_plan(own), index=index, env=env_id)

    async def exam(self, ask: Complete) -> Exam:
        """The exam of the game that asks a verifier."""
        return await self._games[self._examined].exam(ask)

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        """The task that the slot's game makes."""
        env_id, own = self._place(slot.index)
        verify = verify if env_id == self._examined else None
        made = await self._games[env_id].propose(
            msgspec.structs.replace(slot, index=own, env=""), rng, complete, verify
        )
        return _named(env_id, made) if isinstance(made, LabelledTask) else made

    def begin(self, task: Task) -> tuple[State, Turn]:
        """As the task's game does."""
        state, turn = self._games[task.env].begin(_own_task(task))
        return _Inner(task.env, state), turn

    def advance(self, state: State, action: str, replies: tuple[Reply, ...] = ()) -> tuple[State, Turn | Ask | Done]:
        """As the game of the episode does."""
        after, answer = self._games[state.env].advance(state.state, action, replies)
        return _Inner(state.env, after), answer

    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        """The game's own score. Raises ValueError when episode and label are of different tasks."""
        if episode.task_id != label.task_id:
            raise ValueError(f"episode of task {episode.task_id} cannot be scored with the label of {label.task_id}")
        env_id, own = _split(label.task_id)
        episode = msgspec.structs.replace(episode, task_id=own)
        return self._games[env_id].score(episode, msgspec.structs.replace(label, task_id=own), version)

    def unread(self, episode: Episode) -> tuple[int, ...] | None:
        """As the episode's game says."""
        env_id, own = _split(episode.task_id)
        return self._games[env_id].unread(msgspec.structs.replace(episode, task_id=own))

    def kind(self, labelled: LabelledTask) -> str:
        """The game's own."""
        return self._games[labelled.task.env].kind(_own(labelled))

    def oracle(self, labelled: LabelledTask, rng: random.Random) -> Act:
        """The game's own."""
        return self._games[labelled.task.env].oracle(_own(labelled), rng)

    def demonstrator(self, labelled: LabelledTask, rng: random.Random) -> Act:
        """The game's own."""
        return self._games[labelled.task.env].demonstrator(_own(labelled), rng)

    def parts(self, index: int) -> dict[str, tuple[Environment, int]]:
        """Each game, with the first slot of its own plan that comes at or after the index."""
        env_id, own = self._place(index)
        return {name: (game, own if name == env_id else self._later(name, index)) for name, game in self._games.items()}

    def _later(self, env_id: str, index: int) -> int:
        found = next(at for at in count(index + 1) if self._place(at)[0] == env_id)
        return self._place(found)[1]

    def _place(self, index: int) -> tuple[str, int]:
        """The game of a slot, and the slot's index in that game's plan."""
        pair, twin = divmod(index, 2)
        while len(self._pairs) <= pair:
            (env_id,) = self._draw.choices(list(self._games), self._weights)
            self._pairs.append((env_id, self._drawn[env_id]))
            self._drawn[env_id] += 1
        env_id, own = self._pairs[pair]
        return env_id, 2 * own + twin


def _named(env_id: str, made: LabelledTask) -> LabelledTask:
    provenance = msgspec.structs.replace(
        made.task.provenance, vignette=f"{env_id}{SEPARATOR}{made.task.provenance.vignette}"
    )
    task_id = f"{env_id}{SEPARATOR}{made.task.task_id}"
    task = msgspec.structs.replace(made.task, task_id=task_id, provenance=provenance)
    return msgspec.structs.replace(made, task=task, label=msgspec.structs.replace(made.label, task_id=task_id))


def _own(labelled: LabelledTask) -> LabelledTask:
    task = _own_task(labelled.task)
    return LabelledTask(task=task, label=msgspec.structs.replace(labelled.label, task_id=task.task_id))


def _own_task(task: Task) -> Task:
    provenance = msgspec.structs.replace(task.provenance, vignette=_split(task.provenance.vignette)[1])
    return msgspec.structs.replace(task, task_id=_split(task.task_id)[1], provenance=provenance)


def _split(named: str) -> tuple[str, str]:
    env_id, _, own = named.partition(SEPARATOR)
    return env_id, own

"""A game of tools: each reply ends with one call, and what the tool answers is the next message.

A reply without a readable call is answered too, with what to write instead. It earns nothing, and FAULTS of them in a
row end the episode as invalid.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar, Literal

from common.records import EndReason, Episode, Message, Record, Reply, Task, Tool
from common.sections import EnvSettings
from envs.contract.calls import Call, Fault, Syntax, parse, signature
from envs.contract.env import Ask, Done, State, Turn
from envs.contract.game import Game

FAULTS = 3


class ToolSettings(EnvSettings):
    """Settings of a game of tools."""

    call_syntax: Literal["python", "hermes"] = "python"
    """How calls are written: `name(key="value")` on the last line, or JSON in `<tool_call>` for models that know it."""

    @property
    def several_turns(self) -> bool:
        """Each call is a turn."""
        return True


class Progress(Record):
    """Where an episode is: the game's own state, the unreadable replies since the last call, the kit of its task."""

    own: State
    faults: int = 0
    kit: str = ""


class ToolGame(Game):
    """A game derives from this and has `tools`, `opening`, `use`, `score`, `plan`, `propose` and `oracle`.

    One whose tasks differ in their tools overrides `kit`, `kit_of` and `offered`; a kit is the name of a set of tools.
    """

    Settings: ClassVar[type[EnvSettings]] = ToolSettings
    tools: ClassVar[tuple[Tool, ...]]
    settings: ToolSettings

    @abstractmethod
    def opening(self, task: Task) -> tuple[State, tuple[Message, ...]]:
        """The game's own state at the start, and the first messages. `manual` describes the tools for a prompt."""

    @abstractmethod
    def use(self, own: State, call: Call) -> tuple[State, str | Ask | Done]:
        """What a call does: the state after it, and the tool's answer or the end. Pure, and bounded by its input."""

    def kit(self, task: Task) -> str:
        """The kit of a task, by what the policy may see of it; `task_id` does not count."""
        return ""

    def kit_of(self, task_id: str) -> str:
        """The kit of the task of this id, where an episode is all that is known."""
        return ""

    @classmethod
    def offered(cls, kit: str) -> tuple[Tool, ...]:
        """The tools of a kit."""
        return cls.tools

    @property
    def manual(self) -> str:
        """One line per tool, for the prompt. Raises ValueError for a tool that cannot be called."""
        return self.manual_of("")

    def manual_of(self, kit: str) -> str:
        """The same of a kit."""
        return _manual(type(self), kit, self.settings.call_syntax)  # type: ignore[arg-type]  # classes are hashable

    def begin(self, task: Task) -> tuple[State, Turn]:
        """See `envs.contract.env.Environment`."""
        own, messages = self.opening(task)
        kit = self.kit(task)
        return Progress(own=own, kit=kit), Turn(messages=messages, tools=self.offered(kit))

    def advance(self, state: State, action: str, replies: tuple[Reply, ...] = ()) -> tuple[State, Turn | Ask | Done]:
        """See `envs.contract.env.Environment`."""
        call = self.read(action, state.kit)
        if isinstance(call, Fault):
            faults = state.faults + 1
            after: str | Ask | Done = Done(reason=EndReason.INVALID) if faults == FAULTS else call.text
            own = state.own
        else:
            faults, (own, after) = 0, self.answered(state.own, call, replies)
        if isinstance(after, str):
            tools = self.offered(state.kit)
            after = Turn(messages=(Message(role="tool", content=after),), tools=tools)  # type: ignore[assignment]
        assert not isinstance(after, str)
        return Progress(own=own, faults=faults, kit=state.kit), after

    def answered(self, own: State, call: Call, replies: Sequence[Reply]) -> tuple[State, str | Ask | Done]:
        """As `use`; a game that asks partners overrides this, and is called again with their replies."""
        return self.use(own, call)

    def read(self, action: str, kit: str = "") -> Call | Fault:
        """The call of a reply, with the tools of that kit."""
        return _read(type(self), kit, action, self.settings.call_syntax)  # type: ignore[arg-type]  # classes are hashable

    def calls(self, episode: Episode) -> list[Call | Fault]:
        """All calls of an episode, in order."""
        kit = self.kit_of(episode.task_id)
        return [self.read(action, kit) for action in episode.actions]

    def unread(self, episode: Episode) -> tuple[int, ...] | None:
        """Replies without a readable call; one that a limit cut off holds none, whatever its text."""
        cut = len(episode.actions) - 1 if episode.reason == EndReason.LENGTH else None
        return tuple(at for at, call in enumerate(self.calls(episode)) if at == cut or isinstance(call, Fault))


@lru_cache(maxsize=8192)
def _read(game: type[ToolGame], kit: str, action: str, syntax: Syntax) -> Call | Fault:
    """Replies are read when they are played, scored and measured."""
    return parse(action, game.offered(kit), syntax)


@lru_cache(maxsize=256)
def _manual(game: type[ToolGame], kit: str, syntax: Syntax) -> str:
    """To check the tools' schemas takes long."""
    return "\n".join(signature(tool, syntax) for tool in game.offered(kit))

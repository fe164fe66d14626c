"""What goes over the wire of an OpenEnv server: an action, what is seen, and where an episode is."""

from __future__ import annotations

from typing import Any

from openenv.core.env_server.types import Action, Observation, State
from pydantic import BaseModel, ConfigDict, Field


class GameAction(Action):  # type: ignore[misc]
    """A reply as a text, or a tool with its arguments; `text` is then what is said before the call."""

    text: str | None = Field(None, description="the whole reply, or what is said before the call")
    tool: str | None = Field(None, description="the name of the tool that is called")
    arguments: dict[str, Any] = Field(default_factory=dict, description="the arguments of the call")

    def act(self) -> dict[str, Any]:
        """As a session takes it, and judges it: OpenEnv 0.10 cannot report the errors of a validator of ours."""
        return dict(self.model_dump(include={"text", "tool", "arguments"}, exclude_defaults=True))


class Said(BaseModel):
    """A message of the chat."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: str
    content: str


class Offered(BaseModel):
    """A tool that may be called; `parameters` is a JSON schema."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str
    parameters: dict[str, Any]


class GameObservation(Observation):  # type: ignore[misc]
    """What the policy is shown: new messages, the tools, and how many replies it has made.

    `reward` is 0 until `done`, then the whole reward; `reason` says why the episode ended, `solved` whether its task
    counts as done.
    """

    messages: tuple[Said, ...] = ()
    tools: tuple[Offered, ...] = ()
    turn: int = 0
    reward: float = 0.0
    reason: str | None = None
    solved: bool | None = None


class GameState(State):  # type: ignore[misc]
    """Where the episode is. `step_count` counts the replies."""

    model_config = ConfigDict(extra="forbid")

    game: str
    task_id: str | None = None
    split: str | None = None
    index: int | None = None
    done: bool = True

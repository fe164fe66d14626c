"""An episode held open for a caller who acts when it likes: what every door is a thin layer over.

    session = Session(source_of("lookup"))
    session.reset(index=3)                                          Look up id="c", then answer with its value.
    session.step({"tool": "look", "arguments": {"id": "c"}})        value=7
    session.step("answer(value=7)")                                 done, reward 1.0

The game is the pure fold of `envs.contract.env`; a session only remembers where the fold is.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, NamedTuple

from common.finite import reward_fault
from common.records import EndReason, Episode, LabelledTask, Message, Record, Reply, Reward, Tool
from envs.adapters.source import Source
from envs.contract.calls import Call, render
from envs.contract.env import Ask, Done, State, Turn
from envs.contract.replay import Answer, advance

Action = str | Mapping[str, Any]
"""A reply as text, or `{"tool": name, "arguments": {...}}`, with `"text"` for what is said before the call."""
SEEDED = 100_000
"""Seeds choose among that many tasks."""
_FIELDS = frozenset({"text", "tool", "arguments"})


class Seen(Record):
    """What a policy is shown after a reset or a step: the messages that are new, and the tools that it may call.

    `turn` counts its replies. `reward` is 0 until `done`, then the whole reward of the episode.
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    turn: int
    done: bool = False
    reward: float = 0.0
    reason: EndReason | None = None

    @property
    def text(self) -> str:
        """The contents of the messages."""
        return "\n\n".join(message.content for message in self.messages)


class _Open(NamedTuple):
    """An episode that was begun."""

    labelled: LabelledTask
    slot: int
    split: str
    state: State
    turn: Turn
    actions: tuple[str, ...] = ()
    replies: tuple[Reply, ...] = ()
    chat: tuple[Message, ...] = ()
    ended: EndReason | None = None
    reward: Reward | None = None


class Session:
    """One player's episodes, one after the other. `answer` stands in for the models that a game asks, if it asks any.

    Sessions may share a source. One session belongs to one caller at a time.
    """

    def __init__(self, source: Source, split: str = "train", answer: Answer | None = None) -> None:
        self.source, self._split, self._answer = source, split, answer or _nobody
        self._next = 0
        self._episode: _Open | None = None

    def reset(self, index: int | None = None, seed: int | None = None, split: str | None = None) -> Seen:
        """Begin the episode of a task: that of the number `index`, or one drawn by `seed`; else the next one.

        Raises ValueError for both at once, a negative one, and a split that is not served.
        """
        split = split or self._split
        at, labelled = self.source.labelled(self._chosen(index, seed), split)
        self._next = at + 1
        state, turn = self.source.env.begin(labelled.task)
        self._episode = _Open(labelled, at, split, state, turn, chat=turn.messages)
        return self._seen(turn)

    def step(self, action: Action) -> Seen:
        """What follows a reply. Raises ValueError where no episode is open, and for what is no action."""
        episode = self._running()
        text = self.written(action)
        state, after, said = advance(self.source.env, episode.state, text, self._answer)
        episode = episode._replace(
            state=state,
            actions=(*episode.actions, text),
            replies=(*episode.replies, *said),
            chat=(*episode.chat, Message(role="assistant", content=text)),
        )
        if isinstance(after, Done):
            return self._over(episode, after.reason)
        if len(episode.actions) == episode.labelled.task.limits.max_turns:
            return self._over(episode, EndReason.MAX_TURNS)
        self._episode = episode._replace(turn=after, chat=(*episode.chat, *after.messages))
        return self._seen(after)

    def stop(self, reason: EndReason) -> Seen:
        """End the episode from outside, as a limit does. A last reply that the game was not shown counts as empty.

        Raises ValueError where no episode is open.
        """
        episode = self._running()
        return self._over(episode._replace(actions=(*episode.actions, "")), reason)

    def written(self, action: Action) -> str:
        """The reply that an action means. Raises ValueError."""
        if isinstance(action, str):
            return action
        if not isinstance(action, Mapping) or not action or action.keys() - _FIELDS:
            raise ValueError('an action is a text, or {"tool": NAME, "arguments": {...}}, with "text" to say before it')
        text = action.get("text", "")
        if not isinstance(text, str):
            raise ValueError(f"text must be a string, not {type(text).__name__}")
        if action.keys() == {"text"}:
            return text
        tool, arguments = action.get("tool"), action.get("arguments", {})
        if not isinstance(tool, str) or not isinstance(arguments, Mapping):
            raise ValueError("tool must be a name, and arguments an object")
        if not self.tools:
            raise ValueError(f"the game {self.source.name} has no tools: act with a text")
        return render(Call(name=tool, arguments=dict(arguments), text_before=text), self.source.syntax)

    @property
    def tools(self) -> tuple[Tool, ...]:
        """What may be called now. Empty before the first reset."""
        return self._episode.turn.tools if self._episode else ()

    @property
    def done(self) -> bool:
        """Whether no episode is open."""
        return self._episode is None or self._episode.ended is not None

    @property
    def messages(self) -> tuple[Message, ...]:
        """The whole chat of the episode, replies included."""
        return self._episode.chat if self._episode else ()

    @property
    def result(self) -> Reward | None:
        """The reward of an episode that is over."""
        return self._episode.reward if self._episode else None

    @property
    def episode(self) -> Episode:
        """The record of the episode that is over, from which it can be replayed. Raises ValueError while it is open."""
        if self._episode is None or self._episode.ended is None:
            raise ValueError("the episode is not over")
        return _record(self._episode, self._episode.ended)

    def info(self) -> dict[str, Any]:
        """Where the episode is, as JSON; made anew for each call. Nothing in it tells the label while it is open."""
        if self._episode is None:
            return {"game": self.source.name}
        episode = self._episode
        about: dict[str, Any] = {
            "game": self.source.name,
            "task_id": episode.labelled.task.task_id,
            "split": episode.split,
            "index": episode.slot,
            "turn": len(episode.actions),
        }
        if episode.reward is not None:
            about |= {
                "reason": str(episode.ended),
                "outcome": episode.reward.reason,
                "solved": episode.reward.solved,
                "components": dict(episode.reward.components),
            }
        return about

    def _chosen(self, index: int | None, seed: int | None) -> int:
        if index is not None and seed is not None:
            raise ValueError("give index or seed, not both: a seed draws an index")
        if seed is not None:
            return random.Random(_number("seed", seed)).randrange(SEEDED)
        return self._next if index is None else _number("index", index)

    def _running(self) -> _Open:
        if self._episode is None:
            raise ValueError("no episode is open: reset first")
        if self._episode.ended is not None:
            raise ValueError(f"the episode is over ({self._episode.ended}): reset first")
        return self._episode

    def _over(self, episode: _Open, reason: EndReason) -> Seen:
        reward = self.source.env.score(_record(episode, reason), episode.labelled.label)
        if fault := reward_fault(reward):
            raise ValueError(f"task {episode.labelled.task.task_id}: {fault} in its reward: a reward must be finite")
        self._episode = episode._replace(ended=reason, reward=reward)
        return Seen(
            messages=(),
            tools=episode.turn.tools,
            turn=len(episode.actions),
            done=True,
            reward=float(reward.total),
            reason=reason,
        )

    def _seen(self, turn: Turn) -> Seen:
        assert self._episode is not None
        return Seen(messages=turn.messages, tools=turn.tools, turn=len(self._episode.actions))


def _number(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} must be a whole number from 0 on, not {value!r}")
    return value


def _nobody(ask: Ask) -> Reply:
    raise ValueError(f"the game asks a {ask.role} for words: give the session `answer`, a function from Ask to Reply")


def _record(episode: _Open, reason: EndReason) -> Episode:
    return Episode(
        task_id=episode.labelled.task.task_id, actions=episode.actions, reason=reason, replies=episode.replies
    )

"""Episodes without an engine: a policy in this process, or a recorded episode once more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from common.records import EndReason, Episode, Reply, Task
from envs.contract.env import Act, Ask, Done, State, Turn


class Playable(Protocol):
    """What playing needs of an `envs.contract.env.Environment`."""

    def begin(self, task: Task) -> tuple[State, Turn]:
        """See Environment."""

    def advance(self, state: State, action: str, replies: tuple[Reply, ...] = ()) -> tuple[State, Turn | Ask | Done]:
        """See Environment."""


Answer = Callable[[Ask], Reply]


def play(env: Playable, task: Task, act: Act, answer: Answer | None = None) -> Episode:
    """One episode of `act` on `task`. `answer` stands in for the models that a game asks, where it asks any."""
    state, turn = env.begin(task)
    actions, replies = list[str](), list[Reply]()
    while len(actions) < task.limits.max_turns:
        actions.append(act(turn))
        state, after, said = advance(env, state, actions[-1], answer)
        replies += said
        if isinstance(after, Done):
            return Episode(task_id=task.task_id, actions=tuple(actions), reason=after.reason, replies=tuple(replies))
        turn = after
    return Episode(task_id=task.task_id, actions=tuple(actions), reason=EndReason.MAX_TURNS, replies=tuple(replies))


def turns(env: Playable, task: Task, episode: Episode) -> list[Turn]:
    """What the policy was shown before each of its actions, from the record alone.

    Raises ValueError when the game, as it is now, would have ended earlier.
    """
    recorded = iter(episode.replies)
    state, turn = env.begin(task)
    shown = [turn]
    for action in episode.actions[:-1]:
        state, after, _ = advance(env, state, action, lambda _: next(recorded))
        if isinstance(after, Done):
            raise ValueError(
                f"episode of task {task.task_id}: the game ends after {len(shown)} actions, not {len(episode.actions)}"
            )
        shown.append(after)
    return shown


def texts(env: Playable, task: Task, episode: Episode) -> list[str]:
    """What the policy was shown after each action but the last. Raises ValueError like `turns`."""
    if len(episode.actions) == 1:
        return []
    return [_text(turn) for turn in turns(env, task, episode)[1:]]


def opening(env: Playable, task: Task) -> str:
    """What the policy was shown first."""
    return _text(env.begin(task)[1])


def _text(turn: Turn) -> str:
    return "\n".join(message.content for message in turn.messages)


def advance(
    env: Playable, state: State, action: str, answer: Answer | None
) -> tuple[State, Turn | Done, tuple[Reply, ...]]:
    """What follows an action, with what `answer` said to all that the game asked before."""
    replies: tuple[Reply, ...] = ()
    while True:
        later, after = env.advance(state, action, replies)
        if not isinstance(after, Ask):
            return later, after, replies
        assert answer is not None, f"the game asks a {after.role} and nobody answers"
        replies = (*replies, answer(after))

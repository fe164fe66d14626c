"""Groups of the lookup game, as a run leaves them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from common.records import Completion, EndReason, Episode, Group, Rollout, Step, Task
from deploy.report import rollout_log
from envs.contract.by_rule import tasks_by_rule
from envs.contract.env import Done
from envs.contract.replay import texts
from envs.lookup.environment import Lookup
from envs.lookup.spec import LookupSettings

ENV = Lookup(LookupSettings(), 0)
TASKS = [labelled for _, labelled in asyncio.run(tasks_by_rule(ENV, ENV.plan, 40))]


def completion(text: str, finish: str = "stop") -> Completion:
    """A token a word."""
    words = len(text.split())
    return Completion(
        text=text,
        token_ids=range(words),
        logps=[-0.5] * words,
        versions=[3] * words,
        finish_reason=finish,
        engine="engines-0",
    )


def lookup_group(number: int, *episodes: tuple[str, ...]) -> Group:
    """One of TASKS, played with these actions."""
    labelled, rollouts = TASKS[number], []
    for actions in episodes:
        episode = Episode(task_id=labelled.task.task_id, actions=actions, reason=_end(labelled.task, actions))
        steps = [Step(completion=completion(text), observed=(1, 2)) for text in actions[:-1]]
        steps.append(Step(completion=completion(actions[-1])))
        rollouts.append(Rollout(steps=tuple(steps), episode=episode, reward=ENV.score(episode, labelled.label)))
    return Group(labelled=labelled, prompt_ids=(7, 8, 9), rollouts=tuple(rollouts), doctor="doctor-0")


def _end(task: Task, actions: tuple[str, ...]) -> EndReason:
    state, _ = ENV.begin(task)
    for action in actions:
        state, after = ENV.advance(state, action)
        if isinstance(after, Done):
            return after.reason
    return EndReason.MAX_TURNS


def write_step(folder: Path, step: int, *groups: Group) -> Path:
    """As a run does around a step."""
    readings = {group.task_id: [ENV.unread(one.episode) or () for one in group.rollouts] for group in groups}
    rollout_log.write_step(folder, step, 3, groups, lambda task, episode: texts(ENV, task, episode), readings)
    return rollout_log.publish_step(folder, step)

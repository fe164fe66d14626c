"""Do the tasks that a game lists by name keep what is said of them? They are what a benchmark is quoted on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from statistics import fmean

from envs.conformance.baselines import COMMONEST, commonest
from envs.conformance.probes import own_policies
from envs.conformance.report import Released
from envs.contract.env import Checker, Environment
from envs.contract.listing import Listing
from envs.contract.replay import play


def released(env: Environment, checker: Checker | None) -> Released | None:
    """The figures of the listed tasks; None where the game lists none."""
    if not isinstance(env, Listing) or not (names := env.release()):
        return None
    assert isinstance(env, Environment)
    tasks = [env.release_task(name) for name in names]
    episodes = [play(env, one.task, env.oracle(one, random.Random(0))) for one in tasks]
    solved = list(zip(tasks, episodes, strict=True))
    shown = [env.begin(one.task)[1].messages for one in tasks]
    texts = ["\n".join(message.content for message in messages) for messages in shown]
    common = commonest([(text, one.actions) for text, one in zip(texts, episodes, strict=True)])
    earned: dict[str, float] = {}
    for name, policy in (*((COMMONEST, one) for one in common), *own_policies(env).items()):
        mean = fmean(env.score(play(env, one.task, policy()), one.label).total for one in tasks)
        earned[name] = max(mean, earned.get(name, mean))
    return Released(
        tasks=len(tasks),
        distinct=len({one.task.task_id for one in tasks}),
        disputed=sum(checker.disagreement(one) is not None for one in tasks) if checker else None,
        oracle=min(env.score(episode, one.label).total for one, episode in solved),
        foreign=sum(env.foreign(episode, one.label) for one, episode in solved),
        policies=earned,
    )


def problems_of(found: Released, oracle: float, ceiling: float) -> Iterator[str]:
    """What is wrong with them; `oracle` is the maximum, which it reaches in made tasks."""
    if found.distinct < found.tasks:
        yield f"release: {found.tasks - found.distinct} tasks are listed twice"
    if found.disputed:
        yield f"release: the independent checker disputes {found.disputed} labels"
    if found.oracle < oracle:
        yield f"release: the oracle scores {found.oracle:.2f} in one task, not {oracle:.2f}"
    if found.foreign:
        yield f"release: {found.foreign} calls of the oracle name what their task does not have"
    for name, mean in found.policies.items():
        if mean > ceiling:
            yield f"release: a {name} policy earns {mean:.2f}, above {ceiling}"

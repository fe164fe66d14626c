"""Does an environment keep the contract? `medserl check-env` runs this over every registered one.

Checked: the plan and the generator are deterministic and fill every kind; no label travels with a task; the oracle
scores the maximum; null, echo, spam and constant policies stay below a ceiling; scores are pure and can be replayed
from the log; small classifiers cannot tell the labels from the wording. `envs/conformance/command.py` has what the
command adds.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import msgspec

from common.finite import reward_fault
from common.records import EndReason, Episode, Label, LabelledTask, Record, Rejection, Reward, Task
from common.sections import EnvSettings
from envs.conformance.baselines import COMMONEST, NONSENSE, SILENT, commonest, policies
from envs.conformance.leak_probe import leaks
from envs.conformance.probes import own_policies, unit_leaks
from envs.conformance.report import Report
from envs.contract.env import Checker, Environment, Slot, Turn
from envs.contract.probing import Policy
from envs.contract.replay import play

COUNT = 1000  # slots of the plan; the error of an AUC is then about 0.02
CONSTANTS = 8  # constant replies tried per class
HOSTILE = 24  # slots proposed with each hostile model


class _Case(Record):
    """A task with the oracle's episode of it. `kind` is the class that a policy has to tell apart from others."""

    labelled: LabelledTask
    episode: Episode
    reward: Reward
    kind: str

    @property
    def answer(self) -> str:
        return self.episode.actions[-1]


async def check(
    env: Environment,
    count: int = COUNT,
    checker: Checker | None = None,
    limits: type[EnvSettings] = EnvSettings,
) -> Report:
    """Check the first `count` slots of the plan; `checker` verifies every label. `limits` are the game's settings: the
    maximum reward of policies that read nothing, and the maximum AUC of a classifier of the wording.

    Problems are listed in the report; exceptions pass through. Raises ValueError when no slot gives a task.
    """
    begun = time.process_time()
    slots = [env.plan(index) for index in range(count)]
    made = [await env.propose(slot, random.Random(slot.seed), SILENT) for slot in slots]
    made_per_s = count / max(time.process_time() - begun, 1e-9)
    cases = [_solve(env, item, seed) for seed, item in enumerate(made) if isinstance(item, LabelledTask)]
    if not cases:
        raise ValueError(f"{env.env_id}: none of {count} proposals became a task; give it other data")
    earned = _earnings(env, cases)
    found = {**_worst_leaks(env, cases), **unit_leaks(env, [case.labelled for case in cases])}
    ceiling, leak = limits.ceiling, limits.leak_limit
    disputed = list(_label_problems([case.labelled for case in cases], checker))
    problems = [
        *_plan_problems(env, slots, made),
        *await _generator_problems(env, slots, made),
        *_task_problems(env, [case.labelled.task for case in cases]),
        *(problem for case in cases for problem in (*_blindness_problems(env, case), *_score_problems(env, case))),
        *_oracle_problems(env, cases),
        *disputed,
        *(f"a {name} policy earns {mean:.2f}, above {ceiling}" for name, mean in _above(earned, ceiling + 1e-9)),
        *(f"the {name} probe reads the label: AUC {area:.2f}, above {leak}" for name, area in _above(found, leak)),
    ]
    return Report(
        env_id=env.env_id,
        kinds=dict(Counter(case.labelled.task.provenance.kind for case in cases)),
        rejections=dict(Counter(item.reason for item in made if isinstance(item, Rejection))),
        oracle=min(case.reward.total for case in cases),
        policies=earned,
        leaks=found,
        distinct=len({case.labelled.task.task_id for case in cases}),
        disputed=len(disputed) if checker else None,
        made_per_s=made_per_s if limits.rate_floor else None,
        problems=tuple(dict.fromkeys(problems)),
    )


def _above(values: Mapping[str, float], limit: float) -> list[tuple[str, float]]:
    return [(name, value) for name, value in values.items() if value > limit]


def _solve(env: Environment, labelled: LabelledTask, seed: int) -> _Case:
    episode = play(env, labelled.task, env.oracle(labelled, random.Random(seed)))
    reward = env.score(episode, labelled.label)
    return _Case(labelled=labelled, episode=episode, reward=reward, kind=env.kind(labelled))


def _earn(env: Environment, labelled: LabelledTask, policy: Policy) -> Reward:
    return env.score(play(env, labelled.task, policy()), labelled.label)


def _plan_problems(env: Environment, slots: Sequence[Slot], made: Sequence[object]) -> Iterator[str]:
    if any(env.plan(slot.index) != slot for slot in reversed(slots)):
        yield "plan: the same index gives different slots"
    if any(slot.index != index for index, slot in enumerate(slots)):
        yield "plan: slots do not carry the index they were asked for"
    if len({slot.seed for slot in slots}) == 1 < len(slots):
        yield "plan: every slot has the same seed"
    filled = {slot.kind for slot, item in zip(slots, made, strict=True) if isinstance(item, LabelledTask)}
    yield from (f"propose: no slot of kind {kind} became a task" for kind in {s.kind for s in slots} - filled)


async def _generator_problems(env: Environment, slots: Sequence[Slot], made: Sequence[object]) -> list[str]:
    """Repeats every proposal, then tries models that answer nonsense."""
    problems = list[str]()
    for slot, first in reversed(list(zip(slots, made, strict=True))):
        if await env.propose(slot, random.Random(slot.seed), SILENT) != first:
            problems.append(f"propose: slot {slot.index} repeated gives another task")
    for model in NONSENSE:
        for slot in slots[:HOSTILE]:
            item = await env.propose(slot, random.Random(slot.seed), model)
            if isinstance(item, LabelledTask) and _solve(env, item, 0).reward.total < 0:
                problems.append(f"propose: with a model that answers nonsense, the oracle fails on slot {slot.index}")
    return problems


def _task_problems(env: Environment, tasks: Sequence[Task]) -> Iterator[str]:
    splits: dict[str, set[str]] = defaultdict(set)
    contexts: dict[str, Any] = {}
    for task in tasks:
        splits[task.provenance.vignette].add(task.split)
        if contexts.setdefault(task.task_id, task.context) != task.context:
            yield f"task {task.task_id}: two tasks have this id"
        if task.env != env.env_id:
            yield f"task {task.task_id}: env is {task.env!r}, not {env.env_id!r}"
        if not task.provenance.vignette:
            yield f"task {task.task_id}: provenance names no vignette"
    yield from (f"vignette {name} is in splits {sorted(found)}" for name, found in splits.items() if len(found) > 1)


def _label_problems(tasks: Sequence[LabelledTask], checker: Checker | None) -> Iterator[str]:
    for task in tasks if checker else ():
        why = checker.disagreement(task) if checker else None
        if why:
            yield f"label of task {task.task.task_id}: the independent checker disagrees: {why}"


def _blindness_problems(env: Environment, case: _Case) -> Iterator[str]:
    """The task holds no field of the label, and the prompt does not depend on the task's private fields."""
    task, label = case.labelled.task, case.labelled.label
    if label.task_id != task.task_id:
        yield f"task {task.task_id}: its label is of {label.task_id}"
    for key in set(_keys(task.context)) & set(_keys(label.truth)):
        yield f"task context holds the label's field {key!r}"
    blank = msgspec.structs.replace(task.provenance, source="", vignette="", kind="", operators=(), tier="")
    shown = _first_turn(env, task)
    if _first_turn(env, msgspec.structs.replace(task, task_id="", split="", provenance=blank)) != shown:
        yield "begin: the prompt depends on the task's id, split or provenance, which the label shaped"
    if case.answer in _text(shown):
        yield f"task {task.task_id}: the prompt contains the oracle's reply"


def _first_turn(env: Environment, task: Task) -> Turn:
    _, turn = env.begin(task)
    return turn


def _text(turn: Turn) -> str:
    return "\n".join(message.content for message in turn.messages)


def _keys(value: object) -> Iterator[str]:
    """Every field name inside nested JSON."""
    if isinstance(value, dict):
        yield from value
    if isinstance(value, dict | list):
        children: Iterable[object] = value.values() if isinstance(value, dict) else value
        for child in children:
            yield from _keys(child)


def _score_problems(env: Environment, case: _Case) -> Iterator[str]:
    """Scores are pure, replayable from JSON, sum their components, and refuse the label of another task."""
    label = case.labelled.label
    episode = case.episode
    before = msgspec.json.encode(label)
    logged = msgspec.json.decode(msgspec.json.encode(episode), type=Episode)
    replayed = env.score(logged, msgspec.json.decode(before, type=Label))
    if not case.reward == env.score(episode, label) == replayed or msgspec.json.encode(label) != before:
        yield "score: the same episode scores differently, or differently from its log"
    if msgspec.json.decode(msgspec.json.encode(case.labelled), type=LabelledTask) != case.labelled:
        yield "propose: a task does not survive JSON"
    if fault := reward_fault(case.reward):
        yield f"score: {fault}: a reward must be finite"
    elif abs(sum(case.reward.components.values()) - case.reward.total) > 1e-9:
        yield "score: the total is not the sum of the components"
    try:
        env.score(msgspec.structs.replace(episode, task_id=f"not {episode.task_id}"), label)
    except ValueError:
        return
    yield "score: an episode is scored with the label of another task; raise ValueError"


def _oracle_problems(env: Environment, cases: Sequence[_Case]) -> Iterator[str]:
    totals = {case.reward.total for case in cases}
    if len(totals) > 1:
        yield f"oracle: it scores {min(totals)} to {max(totals)}; it must always reach the maximum"
    if len({case.kind for case in cases}) < 2:
        yield "propose: every task has the same label"
    for case in cases:
        cut = msgspec.structs.replace(case.episode, reason=EndReason.LENGTH)
        if env.score(cut, case.labelled.label).total >= case.reward.total:
            yield "score: a truncated reply earns as much as a finished one"
        others = (
            _earn(env, case.labelled, policy).total for _, policy in policies([(case.kind, cases[0].episode.actions)])
        )
        if max(others) > case.reward.total:
            yield f"task {case.labelled.task.task_id}: a policy that reads nothing beats the oracle"


def _earnings(env: Environment, cases: Sequence[_Case]) -> dict[str, float]:
    """Mean reward of policies that read nothing, all classes weighted equally; of constants the best of each class."""
    kinds = sorted({case.kind for case in cases})
    solved = {kind: _solutions(cases, kind)[:CONSTANTS] for kind in kinds}
    earned: dict[str, float] = {}
    constants = policies([(kind, actions) for kind in kinds for actions in solved[kind]])
    common = commonest([(_text(_first_turn(env, case.labelled.task)), case.episode.actions) for case in cases])
    for name, policy in (*constants, *((COMMONEST, one) for one in common), *own_policies(env).items()):
        totals = [[_earn(env, c.labelled, policy).total for c in cases if c.kind == kind] for kind in kinds]
        earned[name] = max(earned.get(name, -math.inf), fmean(map(fmean, totals)))
    return earned


def _solutions(cases: Sequence[_Case], kind: str) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(case.episode.actions for case in cases if case.kind == kind))


def _worst_leaks(env: Environment, cases: Sequence[_Case]) -> dict[str, float]:
    """The largest AUC of each probe, one class against the rest."""
    texts = [_text(_first_turn(env, case.labelled.task)) for case in cases]
    vignettes = [case.labelled.task.provenance.vignette for case in cases]
    kinds = sorted({case.kind for case in cases})
    asked = kinds if len(kinds) > 2 else kinds[:1]
    areas = [leaks(texts, [case.kind == kind for case in cases], vignettes) for kind in asked]
    return {name: max(area[name] for area in areas) for name in areas[0]}

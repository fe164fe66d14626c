"""The parts of the clinic that the rows of parity look at, and tasks and episodes that several of them need."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium

from common.records import Episode, LabelledTask, Reward, Task
from envs.adapters.bioagent import BioAgentEnv
from envs.clinic import domains as kits
from envs.clinic import guidelines, release, reward
from envs.clinic.domain import Domain
from envs.clinic.domains import DOMAINS
from envs.clinic.environment import Clinic
from envs.clinic.guidelines import Compliance, Recommendation
from envs.clinic.instruments import Instrument
from envs.clinic.release import Listed, released
from envs.clinic.scores.score import Score
from envs.clinic.scores.table import SCORES
from envs.clinic.spec import ClinicSettings
from envs.clinic.tasks import PUBLIC, drawn, labelled_task
from envs.clinic.triage.grade import grade as triage_grade
from envs.clinic.world import World
from envs.clinic_checker.checker import Checker
from envs.contract.by_rule import tasks_by_rule
from envs.contract.env import Slot
from envs.contract.replay import play

Game = Callable[[ClinicSettings, int], Clinic]
DRUGS, CHARTS, TRIAGE, DIAGNOSIS = "drug_interaction", "ehr_management", "triage_emergency", "clinical_diagnosis"
WANTED = {"domains": 10, "tools": 88, "tasks": 537}
"""What the public system claims of all its domains; this one has those of its first half so far."""


class Parts(NamedTuple):
    """What a control may replace. `tasks_a_domain` are made of each domain, `inputs` drawn of each score."""

    tasks_a_domain: int = 300
    inputs: int = 1000
    domains: Mapping[str, Domain] = DOMAINS
    instruments: Callable[[str], Mapping[str, Instrument]] = kits.instruments
    listed: Callable[[str], tuple[Listed, ...]] = release.listed
    game: Game = Clinic
    begin: Callable[[Clinic, Task], Any] = Clinic.begin
    disagreement: Callable[[LabelledTask], str | None] = Checker().disagreement
    scores: Mapping[str, Score] = SCORES
    triage_grade: Callable[..., Any] = triage_grade
    reward_of: Callable[..., Reward] = reward.reward_of
    compliance: Callable[[Sequence[Recommendation], World], Compliance | None] = guidelines.compliance
    gym: Callable[..., gymnasium.Env[Any, Any]] = BioAgentEnv


def playing(game: Game, *names: str, **settings: Any) -> Clinic:
    """A game of these domains, or of all."""
    return game(ClinicSettings.model_validate({"domains": names or tuple(DOMAINS), **settings}), 0)


def release_tasks(listed: Callable[[str], tuple[Listed, ...]], *names: str) -> Iterator[LabelledTask]:
    """The release tasks of these domains, or of all."""
    for name in names or DOMAINS:
        for row in listed(name):
            yield released(DOMAINS[name], row)


def generated(domain: Domain, count: int) -> Iterator[LabelledTask]:
    """Tasks of a domain as it is, each followed by its twin."""
    tier = domain.tiers[-1]
    for at in range(count):
        case = domain.make(tier, drawn(domain, tier, at // 2), at % 2)
        yield labelled_task(domain, tier, case, PUBLIC, f"parity-{at // 2}")


def planned(env: Clinic, plan: Callable[[int], Slot], count: int) -> list[LabelledTask]:
    """The first tasks of a plan."""
    return [labelled for _, labelled in asyncio.run(tasks_by_rule(env, plan, count))]


def solved(env: Clinic, labelled: LabelledTask) -> Episode:
    """What the oracle does."""
    return play(env, labelled.task, env.oracle(labelled, random.Random(0)))

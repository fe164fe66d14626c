"""The parts of the oversight game that the rows of parity look at, and trials and audits that several of them need."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from actors.episode import play
from common.records import EndReason, LabelledTask, Reward, Tool
from common.statistics import Interval
from envs.contract.by_rule import tasks_by_rule
from envs.contract.calls import Call, Fault
from envs.contract.replay import play as replayed
from envs.oversight import attribution, cohort_test, curriculum, generator, reward
from envs.oversight.answers import timeline
from envs.oversight.curriculum import Schedule
from envs.oversight.environment import Oversight
from envs.oversight.generator import Made
from envs.oversight.reward import Audit
from envs.oversight.rules import Facts, Violation, violations
from envs.oversight.spec import OversightSettings, RewardSpec
from envs.oversight.tasks import truth_of
from envs.oversight.tools import TOOLS
from envs.oversight.trial import TIERS, Finding, Patient, Protocol, Tier, Truth
from envs.oversight_checker.checker import Checker
from evals.core.played import Policy
from evals.suites.oversight import limitations, policies, trials

PLAYED = ("easy", "medium", "hard")
DOCUMENT = Path(__file__).parents[4] / "docs" / "oversight.md"
Calls = Sequence[Call | Fault]
Game = Callable[[OversightSettings, int], Oversight]
Make = Callable[[Tier, int, int], Made]
Score = Callable[[RewardSpec, Truth, Calls, EndReason], Reward]


class Audited(NamedTuple):
    """An audit that was played, as a score takes it."""

    truth: Truth
    calls: Calls
    reason: EndReason


@cache
def _make(tier: str, seed: int, twin: int) -> Made:
    return generator.make(TIERS[tier], seed, twin)


def make(tier: Tier, seed: int, twin: int) -> Made:
    """`generator.make`, which many rows ask for the same trials."""
    return _make(tier.name, seed, twin) if tier == TIERS[tier.name] else generator.make(tier, seed, twin)


class Parts(NamedTuple):
    """What a control may replace. `trials_a_tier` are generated or played, `labels` are checked, of each tier."""

    trials_a_tier: int = 100
    labels: int = 334
    make: Make = make
    violations: Callable[[Protocol, Facts], list[Violation]] = violations
    disagreement: Callable[[LabelledTask], str | None] = Checker().disagreement
    document: str = ""
    tools: tuple[Tool, ...] = TOOLS
    attributions: Callable[[Sequence[Patient], Patient], dict[str, str]] = attribution.attributions
    analysis: Callable[[Sequence[Patient], str, str], str] = cohort_test.analysis
    timeline: Callable[[Patient, Protocol, bool], str] = timeline
    game: Game = Oversight
    score: Score = reward.reward_of
    confusion: Callable[[Truth, Audit], Mapping[tuple[str, str], int]] = reward.confusion
    phases: Callable[[Sequence[str], int], Schedule] = curriculum.phases
    adapt: Callable[[Oversight, int, Mapping[str, Interval]], bool] = Oversight.adapt
    play: Callable[..., Any] = play
    chosen: Callable[[Sequence[str], int | None], list[trials.Trial]] = trials.trials
    policies: Callable[[Oversight], Mapping[str, Policy]] = policies.policies
    limitations: Callable[[Any], list[str]] = limitations.limitations


def made(make: Make, tier: str, count: int) -> Iterator[Made]:
    """That many trials, each followed by its twin."""
    return (make(TIERS[tier], at // 2, at % 2) for at in range(count))


def about(make: Make, tiers: Sequence[str], count: int, kind: str) -> Iterator[tuple[Protocol, Patient, Finding]]:
    """The proposals that were prepared for one type of error, with their patient and truth."""
    for tier in tiers:
        for trial, truth, facts in made(make, tier, count):
            by_id = {patient.patient_id: patient for patient in trial.patients}
            for proposal, fact in zip(trial.proposals, facts, strict=True):
                if fact.kind == kind:
                    yield trial.protocol, by_id[proposal.subject], truth.findings[proposal.proposal_id]


def playing(game: Game, tier: str, **settings: Any) -> Oversight:
    """A game on one tier."""
    return game(OversightSettings.model_validate({"tiers": [tier], **settings}), 0)


@cache
def tasks(game: Game, tier: str, count: int) -> tuple[LabelledTask, ...]:
    """The first tasks of its plan."""
    env = playing(game, tier)
    return tuple(labelled for _, labelled in asyncio.run(tasks_by_rule(env, env.plan, count)))


@cache
def audits(game: Game, tier: str, count: int) -> tuple[Audited, ...]:
    """What the oracle does with them."""
    env = playing(game, tier)
    return tuple(
        _audited(env, labelled, env.oracle(labelled, random.Random(0))) for labelled in tasks(game, tier, count)
    )


@cache
def blind_audits(tier: str, count: int) -> Mapping[str, tuple[Audited, ...]]:
    """What each policy that does not read does with the first tasks of the game, as it is."""
    env = playing(Oversight, tier)
    some = tasks(Oversight, tier, count)
    return {name: tuple(_audited(env, labelled, begin()) for labelled in some) for name, begin in env.blind().items()}


def _audited(env: Oversight, labelled: LabelledTask, act: Any) -> Audited:
    episode = replayed(env, labelled.task, act)
    return Audited(truth_of(labelled.label), env.calls(episode), episode.reason)

"""What policies that read nothing earn under each `reward.outcome` of the verdict games; `bench.outcomes` shows it."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

import msgspec
from rich.console import Console
from rich.table import Table

from common.records import Episode, LabelledTask
from common.sections import EnvSettings
from envs.contract import registry
from envs.contract.by_rule import tasks_by_rule
from envs.contract.env import Environment
from envs.contradiction.spec import ContradictionSettings
from envs.verdict.data.medec import ERROR_TYPES
from envs.verdict.doctor.grammar import Verdict, render
from envs.verdict.doctor.reward import Truth, score_as
from envs.verdict.environment import truth_of
from envs.verdict.spec import RewardSpec, VerdictSettings

SCHEMES = {
    "graded, first version": (RewardSpec(outcome="graded", anneal_steps=2), 0),
    "graded": (RewardSpec(outcome="graded"), None),
    "type": (RewardSpec(outcome="type"), None),
    "skill": (RewardSpec(outcome="skill"), None),
}
"""What is compared on blind policies: the reward's settings, and the policy_version."""
GAMES: tuple[EnvSettings, ...] = (ContradictionSettings(), VerdictSettings())
THOUGHT = "one two three four five"
ORACLE = "oracle, which reads"
PLACES = 12  # sentences that constant replies accuse
CHANCE = 0.01  # of a constant reply under `skill`: a decision may stand elsewhere in the twin

Pair = tuple[LabelledTask, LabelledTask]
"""An error note and its clean twin."""
Twins = tuple[Truth, Truth]
Replies = tuple[str, str]


def earned(settings: EnvSettings, count: int) -> dict[str, dict[str, float]]:
    """Mean reward by policy and scheme over `count` notes of the game, twins only; of several replies the best one."""
    env = registry.make(settings, 0)
    truths = [(_truth(error), _truth(clean)) for error, clean in _pairs(env, count)]
    return {
        name: {scheme: max(_mean(replies, truths, *how) for replies in known) for scheme, how in SCHEMES.items()}
        for name, known in _policies(truths).items()
    }


def _pairs(env: Environment, count: int) -> list[Pair]:
    found = defaultdict[int, dict[bool, LabelledTask]](dict)
    for slot, labelled in asyncio.run(tasks_by_rule(env, env.plan, count)):
        found[slot.index // 2][_truth(labelled).error_type is not None] = labelled
    return [(pair[True], pair[False]) for pair in found.values() if len(pair) == 2]


def _truth(labelled: LabelledTask) -> Truth:
    truth = labelled.label.truth
    return msgspec.convert(truth["verdict"], Truth) if "verdict" in truth else truth_of(labelled.label)


def _policies(truths: Sequence[Twins]) -> dict[str, list[Sequence[Replies]]]:
    """By policy the replies to each pair that it may give. All but the oracle say the same whichever twin they read, or
    what would be right if it were the error note; who says now this and now that lies between them."""
    silent = render(Verdict(error=False, thinking=THOUGHT))
    corrections = Counter(error.corrected_text for error, _ in truths).most_common(1)
    constants = [_flag(kind, at, corrections[0][0]) for kind in ERROR_TYPES for at in range(PLACES)]
    told = [(_flag_of(error), _flag_of(clean.twin)) for error, clean in truths]
    return {
        "silence": [[(silent, silent)] * len(truths)],
        "flags all, the best constant reply": [[(text, text)] * len(truths) for text in constants],
        "flags all, knows everything but the label": [told],
        "unreadable": [[("", "")] * len(truths)],
        ORACLE: [[(flag, silent) for flag, _ in told]],
    }


def _flag_of(truth: Truth | None) -> str:
    assert truth is not None, "no error is written by a model here"
    return _flag(truth.error_type, truth.sentence, truth.corrected_text)


def _flag(error_type: str | None, sentence: int | None, correction: str | None) -> str:
    said = Verdict(error=True, thinking=THOUGHT, error_type=error_type, sentence=sentence, correction=correction)
    return render(said)


def _mean(replies: Sequence[Replies], truths: Sequence[Twins], how: RewardSpec, version: int | None) -> float:
    return fmean(
        score_as(how, version, Episode(task_id="", actions=(text,)), truth).total
        for pair, both in zip(replies, truths, strict=True)
        for text, truth in zip(pair, both, strict=True)
    )


def show_blind(found: Mapping[str, Mapping[str, Mapping[str, float]]], console: Console) -> bool:
    """Print what blind policies earn; whether none earns more than CHANCE under `skill`."""
    table = Table("game", "policy", title="Mean reward on notes and their twins")
    for scheme in SCHEMES:
        table.add_column(scheme, justify="right")
    for game, policies in found.items():
        for name, means in policies.items():
            table.add_row(game, name, *(f"{means[scheme]:+.2f}" for scheme in SCHEMES))
    console.print(table)
    blind = [means["skill"] for game in found.values() for name, means in game.items() if name != ORACLE]
    return max(blind) <= CHANCE

from __future__ import annotations

import asyncio
import random
from collections import Counter

import msgspec
import pytest

from common.records import Episode, LabelledTask
from envs.conformance.baselines import SILENT
from envs.conformance.check import check
from envs.conformance.fingerprint import elsewhere, fingerprint
from envs.conformance.leak_probe import auc
from envs.contract.calls import Call
from envs.contract.probing import Probed
from envs.contract.registry import make
from envs.contract.replay import play
from envs.oversight.environment import Oversight
from envs.oversight.rules import days_between
from envs.oversight.spec import OversightSettings
from envs.oversight.tools import APPROVE, FLAG
from envs.oversight.trial import trial_of
from envs.oversight_checker.checker import Checker
from tests.envs.oversight.strategies import game, task

TIERS = ("duo", "easy", "medium", "hard")


@pytest.mark.parametrize("tier", TIERS)
def test_the_oracle_solves_every_trial_with_the_tools_alone(tier: str) -> None:
    env = game(tier)
    for index in range(8):
        labelled = task(tier, index)
        episode = play(env, labelled.task, env.oracle(labelled, random.Random(0)))
        reward = env.score(episode, labelled.label)
        assert (reward.total, reward.reason) == (1.0, "perfect")
        assert len(episode.actions) <= labelled.task.limits.max_turns


@pytest.mark.parametrize("tier", TIERS)
def test_a_demonstrated_decision_stands_below_the_facts_that_it_rests_on(tier: str) -> None:
    env = game(tier)
    labelled = task(tier, 0)
    trial = trial_of(labelled.task.context)
    episode = play(env, labelled.task, env.demonstrator(labelled, random.Random(0)))
    decisions = [call for call in env.calls(episode) if isinstance(call, Call) and call.name in (FLAG, APPROVE)]
    assert len(decisions) == len(trial.proposals) and env.score(episode, labelled.label).total == 1.0
    by_id = {patient.patient_id: patient for patient in trial.patients}
    for proposal, decision in zip(trial.proposals, decisions, strict=True):
        patient, rules = by_id[proposal.subject], trial.protocol
        age = "missing" if patient.age is None else patient.age
        assert decision.text_before.startswith(f"age {age}, {rules.age_low} to {rules.oldest}")
        days = days_between(patient.enrollment_date, patient.treatment_start)
        assert (f"; {days} days, " in decision.text_before) == (tier in ("medium", "hard"))
        assert (f"; start {patient.treatment_start}" in decision.text_before) == (tier in ("medium", "hard"))


async def test_the_game_keeps_the_contract() -> None:
    env = make(OversightSettings(tiers=("duo",)), 0)
    report = await check(env, count=40, checker=Checker(), limits=OversightSettings)
    assert report.problems == ()
    assert isinstance(env, Probed) and len(env.blind()) >= 15
    assert report.oracle == 1.0 and set(env.blind()) < set(report.policies)


@pytest.mark.parametrize("tier", ["easy", "hard"])
def test_policies_that_do_not_read_earn_nothing(tier: str) -> None:
    """Over twins; on few trials, so the bound is wider than that of the check."""
    env = game(tier)
    for name, policy in env.blind().items():
        totals = []
        for index in range(8):
            labelled = task(tier, index)
            totals.append(env.score(play(env, labelled.task, policy()), labelled.label).total)
        assert sum(totals) / len(totals) <= 0.15, name


def test_a_policy_that_reads_but_cites_one_type_only_is_in_between() -> None:
    """The reward is not all or nothing: who audits ages alone gains on the easy tier and less on the hard one."""
    earned = {}
    for tier in ("easy", "hard"):
        env, totals = game(tier), []
        for index in range(6):
            labelled = task(tier, index)
            right = play(env, labelled.task, env.oracle(labelled, random.Random(0)))
            actions = tuple(_blind_to_dates(action) for action in right.actions)
            totals.append(env.score(msgspec.structs.replace(right, actions=actions), labelled.label).total)
        earned[tier] = sum(totals) / len(totals)
    assert earned["easy"] == pytest.approx(1.0) and 0 < earned["hard"] < 0.5


def _blind_to_dates(action: str) -> str:
    if action.startswith("flag_error") and "invalid_age" not in action:
        return f'approve(proposal_id="{action.split(chr(34))[1]}")'
    return action


def test_the_prompt_of_twins_is_the_same_to_the_byte() -> None:
    for tier in TIERS:
        (one, two) = (game(tier).begin(task(tier, index).task)[1] for index in (4, 5))
        assert one.messages == two.messages
        assert task(tier, 4).task.task_id != task(tier, 5).task.task_id


def test_prompts_begin_alike_up_to_the_protocol() -> None:
    first, second = (game(tier).begin(task(tier, 0).task)[1].messages[0].content for tier in ("duo", "hard"))
    assert first.split("\nProtocol")[0] == second.split("\nProtocol")[0]


@pytest.mark.parametrize("tier", TIERS)
def test_no_text_outside_the_records_tells_errors_from_decoys(tier: str) -> None:
    """Lengths, confidences and places, over trials and their twins; `medserl check-env` trains classifiers."""
    env = game(tier)
    assert isinstance(env, Probed)
    units = [unit for index in range(16) for unit in env.units(task(tier, index))]
    channels = {unit.channel for unit in units}
    assert channels == {"claims", "confidence", "position", "attribution"}
    for channel in channels:
        texts = [unit for unit in units if unit.channel == channel]
        area = auc([len(unit.text) for unit in texts], [unit.positive for unit in texts])
        assert abs(area - 0.5) <= 0.12
    sure = [unit for unit in units if unit.channel == "confidence"]
    assert abs(auc([float(unit.text.split()[1]) for unit in sure], [unit.positive for unit in sure]) - 0.5) <= 0.12


def test_trials_are_the_same_in_a_process_with_other_hashes() -> None:
    settings = OversightSettings(tiers=("easy", "hard"))
    here = asyncio.run(fingerprint(make(settings, 0), 6))
    assert elsewhere(settings, 6, 1) == here


def test_training_and_heldout_trials_are_of_other_draws() -> None:
    env = game("easy")
    slots = [env.plan(index) for index in range(40)], [env.heldout_plan(index) for index in range(40)]
    seeds = [{slot.seed for slot in part} for part in slots]
    assert not seeds[0] & seeds[1]
    made = asyncio.run(env.propose(slots[1][0], random.Random(0), SILENT))
    assert isinstance(made, LabelledTask) and made.task.split == "heldout"


def test_an_episode_is_scored_with_the_label_of_its_own_trial_only() -> None:
    env, labelled, other = game("easy"), task("easy", 0), task("easy", 1)
    with pytest.raises(ValueError, match="cannot be scored with the label"):
        env.score(Episode(task_id=labelled.task.task_id, actions=("",)), other.label)


def test_all_tiers_are_played_alike_without_a_curriculum() -> None:
    env = Oversight(OversightSettings(), 1)
    kinds = Counter(env.plan(index).kind for index in range(0, 600, 2))
    assert set(kinds) == {"easy", "medium", "hard"} and min(kinds.values()) > 75
    assert all(env.plan(index).kind == env.plan(index + 1).kind for index in range(0, 40, 2))

from __future__ import annotations

import random
from statistics import fmean

import msgspec
import pytest
from pydantic import ValidationError

from common.records import EndReason
from envs.clinic.environment import Clinic
from envs.clinic.release import listed, released
from envs.clinic.spec import ClinicSettings
from envs.clinic.triage.domain import Triage
from envs.clinic.triage.tools import SIMPLE, WHOLE
from envs.clinic_checker.checker import Checker
from envs.conformance.check import check
from envs.contract.by_rule import tasks_by_rule
from envs.contract.calls import Call, render
from envs.contract.listing import Listing
from envs.contract.probing import Probed
from envs.contract.registry import environment_of, make
from envs.contract.replay import play, turns
from envs.contract.spec import read
from tests.envs.clinic.strategies import TIERS, game, said, solved, task


@pytest.mark.parametrize("tier", TIERS)
def test_the_oracle_solves_every_case_with_the_tools_alone(tier: str) -> None:
    for index in range(60):
        labelled = task(tier, index)
        episode = solved(tier, labelled)
        reward = game(tier).score(episode, labelled.label)
        assert (reward.total, reward.reason, reward.solved) == (1.0, "right", True)


@pytest.mark.parametrize("tier", TIERS)
async def test_the_game_keeps_the_contract(tier: str) -> None:
    report = await check(game(tier), 40, Checker(), ClinicSettings)
    reads = ("probe reads the label", "policy earns")  # of few cases; `medserl check-env` takes 1,000
    assert [problem for problem in report.problems if not any(words in problem for words in reads)] == []
    assert report.oracle == 1.0 and isinstance(game(tier), Probed) and isinstance(game(tier), Listing)


@pytest.mark.parametrize("tier", TIERS)
def test_policies_that_do_not_read_earn_little(tier: str) -> None:
    env, cases = game(tier), [task(tier, index) for index in range(40)]
    for name, policy in env.blind().items():
        earned = [env.score(play(env, one.task, policy()), one.label).total for one in cases]
        assert fmean(earned) <= 0.4, name  # of 40 cases; the ceiling of .25 is of 1,000


def test_the_tools_are_those_of_the_tier_and_no_other_s_can_be_called() -> None:
    labelled = task("first", 0)
    _, turn = game("first").begin(labelled.task)
    assert turn.tools == tuple(one.tool for one in SIMPLE)
    episode = play(game("first"), labelled.task, lambda _: "ed_status()")
    assert episode.reason == EndReason.INVALID and game("first").unread(episode) == (0, 1, 2)


def test_every_tool_answers_and_leaves_an_event() -> None:
    labelled = task("full", 0)
    patient = labelled.task.context["world"]["patients"][0]["patient_id"]
    extra = {
        "history": {"part": "past"},
        "give_now": {"drug": "ondansetron", "dose_mg": 4},
        "stat_labs": {"codes": ["glucose"]},
        "activate": {"team": "stroke"},
        "reassess": {"after_min": 10},
        "gcs": {"eye": 3, "verbal": 4, "motor": 6},
        "submit_triage": {"level": 3, "disposition": "acute_bed"},
    }
    state, _ = game().begin(labelled.task)
    for number, instrument in enumerate(WHOLE, 1):
        name = instrument.tool.name
        arguments = {**({} if name in ("ed_status", "gcs") else {"patient_id": patient}), **extra.get(name, {})}
        state, after = game().advance(state, render(Call(name=name, arguments=arguments)))
        assert [event.kind for event in state.own.world.events][-1] == name and len(state.own.world.events) == number
        assert instrument.ends or after.messages[0].content  # type: ignore[union-attr]
    assert len(WHOLE) == 13


def test_no_answer_names_a_level() -> None:
    for index in range(40):
        labelled = task("full", index)
        for turn in turns(game(), labelled.task, solved("full", labelled))[1:]:
            assert "level" not in turn.messages[0].content.lower()


def test_missing_an_emergency_is_capped_at_a_tenth() -> None:
    labelled = next(task("full", i) for i in range(60) if task("full", i).label.truth["answer"]["point"] == "B")
    patient = labelled.label.truth["answer"]["subject"]
    reward = said("full", labelled, [f'submit_triage(patient_id="{patient}", level=5, disposition="fast_track")'])
    assert reward.total <= 0.1 and reward.reason == "unsafe" and reward.figures["under"] == 1


def test_a_drug_of_an_allergy_s_class_is_a_violation_although_the_answer_is_right() -> None:
    labelled, allergy = next(
        (one, drugs[0]["substance"])
        for one in (task("full", index) for index in range(60))
        if (drugs := one.task.context["world"]["patients"][0]["allergies"])
    )
    patient = labelled.label.truth["answer"]["subject"]
    drug = {"penicillin": "amoxicillin", "ibuprofen": "aspirin"}[allergy]
    given = f'give_now(patient_id="{patient}", drug="{drug}", dose_mg=300)'
    harmless = f'give_now(patient_id="{patient}", drug="ondansetron", dose_mg=4)'
    actions = solved("full", labelled).actions
    assert said("full", labelled, [given, *actions]).total == 0.1
    assert said("full", labelled, [harmless, *actions]).total == 1.0


def test_a_dose_above_the_label_s_is_a_violation() -> None:
    labelled = task("full", 0)
    patient, actions = labelled.label.truth["answer"]["subject"], solved("full", labelled).actions
    for dose, total in ((1000, 1.0), (1001, 0.1)):
        given = f'give_now(patient_id="{patient}", drug="paracetamol", dose_mg={dose})'
        assert said("full", labelled, [given, *actions]).total == total


def test_calling_a_team_that_is_not_due_costs_safety_and_not_calling_one_that_is_too() -> None:
    quiet = next(task("full", i) for i in range(60) if not task("full", i).label.truth["answer"]["teams"])
    patient = quiet.label.truth["answer"]["subject"]
    alarmed = [f'activate(patient_id="{patient}", team="stroke")', *solved("full", quiet).actions]
    assert said("full", quiet, alarmed).figures["safety"] == pytest.approx(0.6)
    due = next(task("full", i) for i in range(60) if task("full", i).label.truth["answer"]["teams"])
    silent = [action for action in solved("full", due).actions if not action.startswith("activate")]
    assert said("full", due, silent).figures["safety"] == 0


def test_a_right_answer_without_reading_loses_the_process() -> None:
    labelled = task("full", 0)
    last = solved("full", labelled).actions[-1]
    assert said("full", labelled, [last]).figures["process"] == 0


def test_a_foreign_id_is_answered_and_earns_nothing() -> None:
    labelled = task("full", 0)
    replies = ['vitals(patient_id="P1")', *solved("full", labelled).actions]
    assert 0.9 < said("full", labelled, replies).total < 1.0


def test_demonstrations_answer_by_what_they_read_in_the_share_that_is_set() -> None:
    env = Clinic(ClinicSettings.model_validate({"tiers": ["first"], "demonstrated_skill": 0}), 0)
    rng, exact = random.Random(0), list[float]()
    for index in range(100):
        labelled = task("first", index)
        episode = play(env, labelled.task, env.demonstrator(labelled, rng))
        assert env.unread(episode) == ()
        exact.append(env.score(episode, labelled.label).figures["exact"])
    assert 0.05 < fmean(exact) < 0.4


@pytest.mark.parametrize("tier", TIERS)
def test_a_skilled_demonstration_says_what_its_answer_rests_on_and_earns_1(tier: str) -> None:
    for index in range(20):
        labelled = task(tier, index)
        episode = play(game(tier), labelled.task, game(tier).demonstrator(labelled, random.Random(0)))
        assert game(tier).score(episode, labelled.label).total == 1.0
        assert episode.actions[-1].startswith("signs ") and "level" not in episode.actions[-1].splitlines()[0]


def test_a_weight_of_the_spec_changes_the_reward() -> None:
    labelled = task("full", 0)
    last = solved("full", labelled).actions[-1:]
    spec = {"reward": {"weights": {"triage_emergency": {"process": 3.0}}}}
    env = make(ClinicSettings.model_validate(spec), 0)
    episode = play(env, labelled.task, lambda _: last[0])
    assert env.score(episode, labelled.label).total < game().score(episode, labelled.label).total


async def test_the_clinic_is_played_beside_other_games() -> None:
    """Ids of tasks begin with the game's there; the kit is found all the same."""
    games = [ClinicSettings.model_validate({"tiers": ["first", "full"]}), *read(["oversight", "contradiction"])]
    both = environment_of(games, 0)
    found = [labelled for _, labelled in await tasks_by_rule(both, both.plan, 12)]
    assert {one.task.env for one in found} == {"clinic", "oversight", "contradiction"}
    for one in found:
        episode = play(both, one.task, both.oracle(one, random.Random(0)))
        assert both.score(episode, one.label).solved and not both.unread(episode)


def test_tiers_that_a_domain_does_not_have_are_refused() -> None:
    with pytest.raises(ValidationError, match="tiers"):
        ClinicSettings.model_validate({"tiers": []})


def test_the_release_tasks_are_those_that_were_listed_and_are_solved() -> None:
    rows, env = listed("triage_emergency"), game()
    made = [released(Triage(), row) for row in rows]
    assert len(rows) == 60 == len({one.task.task_id for one in made})
    assert {one.task.split for one in made} == {"public"}
    for one in made:
        assert env.score(play(env, one.task, env.oracle(one, random.Random(0))), one.label).total == 1.0
        assert Checker().disagreement(one) is None
        assert len(one.task.context["world"]["patients"]) == 1


def test_a_release_task_that_the_generator_makes_otherwise_is_refused() -> None:
    row = msgspec.structs.replace(listed("triage_emergency")[0], sha256="0" * 64)
    with pytest.raises(ValueError, match="makes another one now"):
        released(Triage(), row)

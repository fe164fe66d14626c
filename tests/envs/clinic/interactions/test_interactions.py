from __future__ import annotations

import asyncio
import random
from functools import cache
from itertools import combinations
from statistics import fmean
from typing import Any

import pytest

from common.records import LabelledTask
from envs.clinic.domain import Case, Grade
from envs.clinic.environment import Clinic, acting
from envs.clinic.instruments import use
from envs.clinic.interactions.cases import drugs_of
from envs.clinic.interactions.domain import (
    MISSED_ALLERGY,
    MISSED_CONTRAINDICATION,
    MISSED_MAJOR,
    Interactions,
)
from envs.clinic.interactions.facts import BENIGN, DRUGS, FORBIDDEN, PROPERTIES
from envs.clinic.interactions.food import FOODS
from envs.clinic.interactions.pairs import SWAPS, Swap
from envs.clinic.interactions.review import reviewed
from envs.clinic.interactions.rules import RULES, interaction, interactions
from envs.clinic.interactions.tools import WHOLE
from envs.clinic.release import listed, released
from envs.clinic.spec import ClinicSettings
from envs.clinic.world import as_json
from envs.clinic_checker.checker import Checker
from envs.clinic_checker.interactions.checker import disagreement
from envs.clinic_checker.interactions.listed import CLASSES, PAIRS
from envs.conformance.baselines import SILENT
from envs.conformance.check import check
from envs.contract.replay import play

DOMAIN = Interactions()
TOOLS = {one.tool.name: one for one in WHOLE}
RELEASE = listed(Interactions.name)


@cache
def case(seed: int, twin: int = 0, tier: str = "full") -> Case:
    return DOMAIN.make(tier, DOMAIN.draw(tier, random.Random(seed)), twin)


def context(made: Case) -> dict[str, Any]:
    return {"request": made.request, "world": as_json(made.world)}


def test_the_rules_find_the_pairs_that_are_listed_by_hand_and_no_other() -> None:
    pairs = [frozenset(pair) for pair in combinations(DRUGS, 2)]
    found = {pair: interaction(*sorted(pair)) for pair in pairs}
    assert {pair: (rule.severity, rule.action) for pair, rule in found.items() if rule} == PAIRS
    assert len(PAIRS) == 123 and len(pairs) == 3081


def test_a_pair_is_symmetric_and_no_drug_interacts_with_itself() -> None:
    for first, second in combinations(DRUGS, 2):
        assert interaction(first, second) == interaction(second, first)
    assert all(interaction(drug, drug) is None for drug in DRUGS)


def test_every_rule_holds_of_a_pair_and_names_its_source() -> None:
    held = {str(rule) for rule in RULES if any(rule.holds(*pair) for pair in combinations(DRUGS, 2))}
    assert held == {str(rule) for rule in RULES} and all(rule.source for rule in RULES)


@pytest.mark.parametrize("swap", SWAPS, ids=str)
def test_a_swap_changes_one_interaction_and_nothing_else(swap: Swap) -> None:
    benign = [drug for drug in BENIGN if drug not in (swap.partner, swap.harmful, swap.near)]
    third = [swap.third] if swap.third else []
    mine = [pair for pair, _ in interactions([swap.partner, swap.harmful, *third, *benign])]
    its = [pair for pair, _ in interactions([swap.partner, swap.near, *third, *benign])]
    assert set(mine) - set(its) == {"+".join(sorted((swap.partner, swap.harmful)))} and set(its) < set(mine)
    assert its == ["+".join(sorted((swap.partner, swap.third)))] * len(third)


@pytest.mark.parametrize(
    ("drugs", "allergies", "review"),
    [
        (["cetirizine", "docusate"], ["penicillins"], ((), "none", "none", "none")),
        (["sildenafil", "nitroglycerin"], [], (("nitroglycerin+sildenafil",), "contraindicated", "avoid", "none")),
        (["warfarin", "metronidazole"], [], (("metronidazole+warfarin",), "major", "adjust", "none")),
        (
            ["warfarin", "metronidazole", "naproxen"],
            [],
            (("metronidazole+warfarin", "naproxen+warfarin"), "major", "avoid", "none"),
        ),
        (["sertraline", "naproxen"], ["macrolides"], (("naproxen+sertraline",), "moderate", "monitor", "none")),
        (["cephalexin", "amoxicillin"], ["penicillins"], ((), "none", "none", "amoxicillin")),
        (
            ["clarithromycin", "rosuvastatin", "digoxin"],
            ["macrolides"],
            (("clarithromycin+digoxin",), "major", "adjust", "clarithromycin"),
        ),
    ],
)
def test_the_review_of_a_list(drugs: list[str], allergies: list[str], review: tuple[Any, ...]) -> None:
    found = reviewed(drugs, allergies)
    assert (found.pairs, found.severity, found.action, found.allergy) == review


def test_the_classes_that_an_allergy_forbids_are_those_of_the_hand_list() -> None:
    by_class = {
        name: {drug for drug, facts in DRUGS.items() if facts.drug_class in classes}
        for name, classes in FORBIDDEN.items()
    }
    assert by_class == CLASSES


@pytest.mark.parametrize("tier", ["first", "full"])
def test_twins_differ_in_one_drug_or_in_the_allergy(tier: str) -> None:
    seen = set()
    for seed in range(60):
        parameters = DOMAIN.draw(tier, random.Random(seed))
        one, other = (DOMAIN.make(tier, parameters, twin) for twin in (0, 1))
        changed = len(set(drugs_of(parameters, 0)) ^ set(drugs_of(parameters, 1)))
        allergies = [made.world.patients[0].allergies for made in (one, other)]
        assert (changed, allergies[0] == allergies[1]) in ((2, True), (0, False))
        assert one.truth.answer != other.truth.answer and one.request == other.request
        assert 3 <= len(parameters["drugs"]) <= 8
        seen.add(changed)
    assert seen == {0, 2}


def test_the_checker_finds_labels_again_and_disputes_a_changed_one() -> None:
    for seed in range(100):
        made, other = case(seed), case(seed, 1)
        assert disagreement(context(made), as_json(made.truth)["answer"]) is None
        assert "the label says" in (disagreement(context(made), as_json(other.truth)["answer"]) or "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"request": "Review the drugs of P1."}, "is not about"),
        ({"medications": [{"drug": "docusate"}, {"drug": "docusate"}]}, "listed twice"),
        ({"medications": [{"drug": "amoxicillin"}, {"drug": "dicloxacillin"}]}, "the allergy forbids"),
    ],
)
def test_the_checker_refuses_what_does_not_decide(change: dict[str, Any], said: str) -> None:
    made = context(case(0))
    (patient,) = made["world"]["patients"]
    patient["allergies"] = [{"substance": "penicillins"}]
    patient.update({name: value for name, value in change.items() if name == "medications"})
    made["request"] = change.get("request", made["request"])
    with pytest.raises(ValueError, match=said):
        disagreement(made, as_json(case(0).truth)["answer"])


def game(tier: str = "full") -> Clinic:
    return Clinic(ClinicSettings.model_validate({"domains": [Interactions.name], "tiers": [tier]}), 0)


@pytest.mark.parametrize("tier", ["first", "full"])
async def test_the_domain_keeps_the_contract(tier: str) -> None:
    report = await check(game(tier), 40, Checker(), ClinicSettings)
    reads = ("probe reads the label", "policy earns")  # of few cases; `medserl check-env` takes 1,000
    assert [problem for problem in report.problems if not any(words in problem for words in reads)] == []
    assert report.oracle == 1.0


PATIENT = {"patient_id": case(0).world.patients[0].patient_id}
ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "drug_list": (PATIENT, " every 24 h"),
    "drug_allergies": (PATIENT, "allergy to "),
    "drug_info": ({"drugs": ["simvastatin", "docusate"]}, "simvastatin: statin; CYP3A4 substrate of narrow margin"),
    "drugs_in_class": ({"drug_class": "Statin"}, "simvastatin, lovastatin, rosuvastatin"),
    "cyp_profile": ({"drug": "ciprofloxacin"}, "strong inhibitor of CYP1A2"),
    "qt_risk": ({"drug": "sotalol"}, "known risk of torsade"),
    "contraindications": ({"drug": "sildenafil"}, "sildenafil: a drug beside it: nitrate"),
    "food_interaction": ({"drug": "simvastatin"}, "grapefruit juice raises its level. Source: Zocor label"),
    "interaction_rules": ({}, "nitrate + PDE5 inhibitor: contraindicated, avoid"),
    "submit_review": ({**PATIENT, "pairs": [], "severity": "none", "action": "none", "allergy": "none"}, ""),
}


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_every_tool_answers_a_call(name: str) -> None:
    arguments, said = ANSWERS[name]
    used = use(case(0).world, TOOLS[name], arguments)
    assert said in used.text and not used.refused and used.world.events[-1].kind == name


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("drug_list", {"patient_id": "P1"}, "There is no patient P1."),
        ("drug_info", {"drugs": ["docusate", "aspartame"]}, "Nothing is known of aspartame."),
        ("qt_risk", {"drug": "aspartame"}, "Nothing is known of aspartame."),
    ],
)
def test_what_is_not_known_is_refused(name: str, arguments: dict[str, Any], said: str) -> None:
    used = use(case(0).world, TOOLS[name], arguments)
    assert (used.text, used.refused) == (said, True)


def test_what_is_known_but_concerns_no_rule_is_said_so() -> None:
    assert use(case(0).world, TOOLS["cyp_profile"], {"drug": "docusate"}).text == "No enzyme of the rules is concerned."
    assert use(case(0).world, TOOLS["qt_risk"], {"drug": "docusate"}).text == "no known risk of torsade"
    assert "No drug here" in use(case(0).world, TOOLS["drugs_in_class"], {"drug_class": "tea"}).text
    assert use(case(0).world, TOOLS["contraindications"], {"drug": "docusate"}).text == "docusate: none is known here"
    assert use(case(0).world, TOOLS["food_interaction"], {"drug": "docusate"}).text == "Nothing is known here."


def test_contraindications_of_a_drug_are_those_of_its_pairs_and_allergies() -> None:
    def said(drug: str) -> str:
        return use(case(0).world, TOOLS["contraindications"], {"drug": drug}).text

    assert said("dicloxacillin") == "dicloxacillin: an allergy to penicillins"
    for first, second in combinations(DRUGS, 2):
        gravest = [rule for _, rule in interactions([first, second]) if rule.severity == "contraindicated"]
        for rule in gravest:
            own, others = (first, second) if rule.one in DRUGS[first].properties else (second, first)
            assert PROPERTIES[rule.other] in said(own) and PROPERTIES[rule.one] in said(others)
    assert set(FOODS) <= set(DRUGS)


def graded(made: Case, *calls: tuple[str, dict[str, Any]], **changed: Any) -> Grade:
    """The grade of these calls, then of the right answer with changes."""
    patient = {"patient_id": made.world.patients[0].patient_id}
    world = made.world
    for name, arguments in (*calls, ("submit_review", {**patient, **made.truth.answer, **changed})):
        world = use(world, TOOLS[name], arguments).world
    return DOMAIN.grade(world, made.truth)


def first(severity: str, allergy: bool = False) -> Case:
    made = (case(seed) for seed in range(400))
    return next(
        one
        for one in made
        if one.truth.answer["severity"] == severity and (one.truth.answer["allergy"] != "none") is allergy
    )


def test_a_pair_counts_in_either_order_and_every_field_must_be_right() -> None:
    made = first("major")
    answer = made.truth.answer
    turned = ["+".join(reversed(pair.split("+"))) for pair in answer["pairs"]]
    assert graded(made, pairs=turned).accuracy == 1
    for name, wrong in {"pairs": [], "severity": "contraindicated", "action": "none", "allergy": "docusate"}.items():
        assert graded(made, **{name: wrong}).accuracy == 0


def test_missing_something_grave_is_a_violation() -> None:
    nothing = {"pairs": [], "severity": "none", "action": "none"}
    assert graded(first("contraindicated"), **nothing).violations == (MISSED_CONTRAINDICATION,)
    assert graded(first("major"), **nothing).violations == (MISSED_MAJOR,)
    assert graded(first("moderate"), **nothing).violations == ()
    missed = graded(first("none", allergy=True), allergy="none")
    assert (missed.violations, missed.safety, missed.accuracy) == ((MISSED_ALLERGY,), 0, 0)
    assert graded(first("none")).violations == ()


def test_process_is_the_share_read_less_repeats() -> None:
    made = first("major")
    (patient,) = made.world.patients
    about = {"patient_id": patient.patient_id}
    drugs = [one.drug for one in patient.medications]
    reads = [("drug_list", about), ("drug_allergies", about), ("drug_info", {"drugs": drugs})]
    assert graded(made).process == 0
    assert graded(made, *reads).process == pytest.approx(1)
    assert graded(made, *reads[:2]).process == pytest.approx(2 / 3)
    assert graded(made, *reads, reads[0]).process == pytest.approx(0.9)


def test_without_an_answer_nothing_is_safe() -> None:
    made = case(0)
    grade = DOMAIN.grade(made.world, made.truth)
    assert (grade.accuracy, grade.process, grade.safety) == (0, 0, 0)


def test_the_release_set_is_distinct_and_half_of_it_has_no_interaction() -> None:
    assert len(RELEASE) == 65 == len({row.sha256 for row in RELEASE})
    without = sum(released(DOMAIN, row).label.truth["answer"]["severity"] == "none" for row in RELEASE)
    assert 26 <= without <= 39


@pytest.mark.parametrize("part", range(5))
def test_the_release_tasks_are_made_as_listed_and_solved(part: int) -> None:
    env = game()
    for row in RELEASE[part::5]:
        labelled = released(DOMAIN, row)
        episode = play(env, labelled.task, env.oracle(labelled, random.Random(0)))
        assert env.score(episode, labelled.label).total == 1.0
        assert Checker().disagreement(labelled) is None


def test_the_guesser_reads_everything_before_it_answers() -> None:
    env = game()
    labelled = released(DOMAIN, RELEASE[0])
    episode = play(env, labelled.task, acting(DOMAIN.guesser(random.Random(1)), env._write))
    assert env.score(episode, labelled.label).figures["process"] == 1


@pytest.mark.parametrize("tier", ["first", "full"])
def test_what_is_said_of_every_list_earns_a_quarter_at_most_although_half_of_them_have_no_interaction(
    tier: str,
) -> None:
    env = game(tier)
    made = [_task(env, index) for index in range(160)]
    for name, policy in env.blind().items():
        earned = [env.score(play(env, one.task, policy()), one.label).total for one in made]
        assert fmean(earned) <= 0.25, name


def _task(env: Clinic, index: int) -> LabelledTask:
    slot = env.plan(index)
    made = asyncio.run(env.propose(slot, random.Random(slot.seed), SILENT))
    assert isinstance(made, LabelledTask)
    return made


def test_a_release_list_has_each_class_as_often_as_it_is_made() -> None:
    severities = [released(DOMAIN, row).label.truth["answer"]["severity"] for row in RELEASE]
    made = [case(seed, twin).truth.answer["severity"] for seed in range(200) for twin in (0, 1)]
    for severity in set(made):
        assert severities.count(severity) / len(severities) == pytest.approx(made.count(severity) / len(made), abs=0.1)

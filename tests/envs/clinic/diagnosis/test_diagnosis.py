from __future__ import annotations

import asyncio
import random
import re
from functools import cache
from statistics import fmean
from typing import Any

import msgspec
import pytest

from common.records import LabelledTask
from envs.clinic.diagnosis.cases import facts_of, pair_of
from envs.clinic.diagnosis.condition import HOME, INTENSIVE, WARD
from envs.clinic.diagnosis.conditions import COMPLAINTS, CONDITIONS, holding, needed
from envs.clinic.diagnosis.criteria import Osmolality, Points, is_, is_not, limit
from envs.clinic.diagnosis.domain import Diagnosis
from envs.clinic.diagnosis.findings import FINDINGS, LABS, VITALS, place, written
from envs.clinic.diagnosis.pairs import PAIRS
from envs.clinic.diagnosis.tools import DRUGS, WHOLE
from envs.clinic.domain import Case, Grade
from envs.clinic.environment import Clinic
from envs.clinic.instruments import use
from envs.clinic.release import listed, released
from envs.clinic.scores.table import SCORES
from envs.clinic.spec import ClinicSettings
from envs.clinic.world import as_json
from envs.clinic_checker.checker import Checker
from envs.clinic_checker.diagnosis import RULES, disagreement
from envs.conformance.baselines import SILENT
from envs.conformance.check import check
from envs.contract.replay import play
from evals.core.random_calls import random_call

DOMAIN = Diagnosis()
TOOLS = {one.tool.name: one for one in WHOLE}
RELEASE = listed(Diagnosis.name)
HEALTHY = {name: one.normal if one.texts else (one.low + one.high) / 2 for name, one in FINDINGS.items()}


@cache
def case(seed: int, twin: int = 0) -> Case:
    return DOMAIN.make("full", DOMAIN.draw("full", random.Random(seed)), twin)


def with_code(*codes: str) -> Case:
    every = (case(seed, twin) for seed in range(600) for twin in (0, 1))
    return next(one for one in every if one.truth.answer["diagnosis"] in codes)


def context(made: Case) -> dict[str, Any]:
    return {"request": made.request, "world": as_json(made.world)}


def holds(complaint: str, **facts: float | str) -> list[str]:
    return [one.code for one in holding(complaint, {**HEALTHY, **facts})]


@pytest.mark.parametrize(
    ("complaint", "facts", "at", "beyond"),
    [
        ("chest pain", {"chest_pain": "ischaemic", "troponin_t_3h": 15}, "I21.4", {"troponin_t_3h": 14}),
        ("shortness of breath", {"cough": "days", "fev1_fvc_percent": 69}, "J44.1", {"fev1_fvc_percent": 70}),
        ("shortness of breath", {"lungs": "wheeze", "reversibility": 12}, "J45.901", {"reversibility": 11}),
        (
            "shortness of breath",
            {"chest_xray": "congestion", "nt_probnp": 300, "ejection_fraction": 40},
            "I50.23",
            {"nt_probnp": 299},
        ),
        ("headache", {"csf_leucocytes": 6, "csf_glucose_ratio": 0.22}, "G00.9", {"csf_glucose_ratio": 0.23}),
        ("headache", {"csf_leucocytes": 6}, "A87.9", {"csf_leucocytes": 5}),
        ("headache", {"headache": "temporal", "temples": "artery", "esr": 50}, "M31.6", {"esr": 49}),
        ("sudden weakness", {"weakness": "resolved", "glucose": 54}, "G45.9", {"glucose": 53}),
        ("abdominal pain", {"belly_pain": "epigastric", "lipase": 180}, "K85.90", {"lipase": 179}),
        (
            "abdominal pain",
            {"belly_pain": "right_upper", "ultrasound": "cholecystitis", "crp": 30},
            "K81.0",
            {"crp": 29},
        ),
        ("abdominal pain", {"belly_pain": "flank", "temp": 38.0, "urine_leucocytes": 10}, "N10", {"temp": 37.9}),
        ("abdominal pain", {"ultrasound": "adnexal_mass", "hcg": 26}, "O00.90", {"hcg": 25}),
        ("confusion", {"glucose": 200, "hydroxybutyrate": 3.0, "bicarbonate": 17}, "E11.10", {"bicarbonate": 18}),
        ("confusion", {"glucose": 600}, "E11.00", {"glucose": 599}),
        ("confusion", {"sodium": 124}, "E87.1", {"sodium": 125}),
        ("confusion", {"sbp": 99, "cortisol": 4.9}, "E27.2", {"cortisol": 5.0}),
    ],
)
def test_a_condition_holds_up_to_the_limit_of_its_source_and_not_beyond(
    complaint: str, facts: dict[str, Any], at: str, beyond: dict[str, Any]
) -> None:
    assert holds(complaint, **facts) == [at]
    assert at not in holds(complaint, **{**facts, **beyond})


def test_criteria_are_counted_compared_and_written_in_words() -> None:
    two = Points(least=2, parts=((1, is_("heart", "rub")), (1, limit("esr", ">=", 50))))
    assert not two.holds({**HEALTHY, "heart": "rub"}) and two.holds({**HEALTHY, "heart": "rub", "esr": 50})
    assert str(two) == "2 or more points of: 1 for `A friction rub is heard over the heart.`, 1 for esr >= 50 mm/h"
    osmolality = Osmolality(above=300)
    assert osmolality.holds({"sodium": 140, "glucose": 361}) and not osmolality.holds({"sodium": 140, "glucose": 360})
    assert is_not("ecg", "inferior").holds(HEALTHY) and str(is_not("ecg", "normal")).startswith("not `Sinus")
    signs = (limit("esr", sign, 10).holds({"esr": 10}) for sign in (">=", ">", "<", "<="))  # type: ignore[arg-type]
    assert list(signs) == [True, False, False, True]


def test_every_condition_names_its_source_and_every_complaint_knows_what_remains() -> None:
    assert all(re.search(r"\d{4}|ICHD-3|ICD-10-CM", one.source) for one in CONDITIONS.values())
    assert len(CONDITIONS) == 45
    assert all(sum(not one.criteria for one in some) <= 1 for some in COMPLAINTS.values())


def test_no_healthy_value_fulfils_a_criterion_of_disease() -> None:
    for complaint, some in COMPLAINTS.items():
        remains = [one.code for one in some if not one.criteria]
        assert holds(complaint) == remains


@pytest.mark.parametrize("at", range(len(PAIRS)), ids=[f"{one.codes[0]} or {one.codes[1]}" for one in PAIRS])
def test_every_pair_is_made_and_differs_in_one_finding(at: int) -> None:
    parameters = next(one for one in map(_drawn, range(2000)) if one["pair"] == at)
    pair = pair_of(parameters)
    assert {name for name in FINDINGS if facts_of(parameters, 0)[name] != facts_of(parameters, 1)[name]} == {pair.tells}
    twins = [DOMAIN.make("full", parameters, twin) for twin in (0, 1)]
    assert {one.truth.answer["diagnosis"] for one in twins} == set(pair.codes)
    assert {one.truth.klass for one in twins} == {"rank first", "rank second"}
    for mine, other in (twins, twins[::-1]):
        assert disagreement(context(mine), mine.truth.answer) is None
        assert "the label says" in (disagreement(context(mine), other.truth.answer) or "")


@cache
def _drawn(seed: int) -> dict[str, Any]:
    return DOMAIN.draw("full", random.Random(seed))


def test_no_condition_of_a_complaint_is_much_commoner_than_the_others() -> None:
    for complaint, some in COMPLAINTS.items():
        codes = [code for pair in PAIRS if pair.complaint == complaint for code in pair.codes]
        assert set(codes) == {one.code for one in some}
        assert max(codes.count(code) for code in codes) <= len(codes) / 5


def test_the_checker_has_a_rule_for_every_condition_and_refuses_what_it_cannot_read() -> None:
    for complaint, some in COMPLAINTS.items():
        assert set(RULES[complaint]) == {one.code for one in some if one.criteria}
    made = case(0)
    with pytest.raises(ValueError, match="is not understood"):
        disagreement({**context(made), "request": "Heal them."}, made.truth.answer)
    with pytest.raises(ValueError, match="is not about"):
        disagreement({**context(made), "request": made.request.replace(" P", " P1")}, made.truth.answer)
    both = context(with_code("I71.00"))
    both["world"]["patients"][0]["said"] += [{"text": "filling defects in segmental"}]
    with pytest.raises(ValueError, match="several conditions hold"):
        disagreement(both, made.truth.answer)


def game() -> Clinic:
    return Clinic(ClinicSettings.model_validate({"domains": [Diagnosis.name]}), 0)


async def test_the_domain_keeps_the_contract() -> None:
    report = await check(game(), 40, Checker(), ClinicSettings)
    reads = ("probe reads the label", "policy earns")  # of few cases; `medserl check-env` takes 1,000
    assert [problem for problem in report.problems if not any(words in problem for words in reads)] == []
    assert report.oracle == 1.0


def test_policies_that_do_not_read_earn_a_quarter_at_most() -> None:
    env = game()
    made = [_task(env, index) for index in range(120)]
    for name, policy in env.blind().items():
        assert fmean(env.score(play(env, one.task, policy()), one.label).total for one in made) <= 0.25, name


def _task(env: Clinic, index: int) -> LabelledTask:
    slot = env.plan(index)
    made = asyncio.run(env.propose(slot, random.Random(slot.seed), SILENT))
    assert isinstance(made, LabelledTask)
    return made


ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "interview": ({"topic": "cough"}, "cough"),
    "examine": ({"system": "lungs"}, "lungs"),
    "order_labs": ({"codes": ["sodium", "sodium", "csf_colour"]}, "sodium 1"),
    "order_study": ({"study": "echo"}, "ejection_fraction"),
    "differential": ({"complaint": "chest pain"}, "I21.19 inferior ST elevation"),
    "criteria": ({"code": "I30.9"}, "2 or more points of"),
    "give_drug": ({"drug": "aspirin"}, "Given: aspirin."),
    "call_specialist": ({"specialty": "surgery"}, "Called: surgery."),
    "write_note": ({"text": "seen"}, "Noted."),
    "submit_diagnosis": ({"icd10": "I21.4", "disposition": "ward"}, ""),
}


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_every_tool_answers_a_call(name: str) -> None:
    about = {"patient_id": case(0).world.patients[0].patient_id}
    if name in SCORES:
        arguments, said = random_call(random.Random(0), (TOOLS[name].tool,), {}).arguments, SCORES[name].title
    else:
        arguments, said = ANSWERS.get(name, ({}, ""))
    wanted = about if "patient_id" in TOOLS[name].tool.parameters["properties"] else {}
    used = use(case(0).world, TOOLS[name], {**wanted, **arguments})
    assert said in used.text and not used.refused and used.world.events[-1].kind == name


def test_what_is_not_known_is_refused() -> None:
    assert use(case(0).world, TOOLS["criteria"], {"code": "Z00.0"}).refused
    assert use(case(0).world, TOOLS["background"], {"patient_id": "P1"}).text == "There is no patient P1."


def test_a_tool_names_no_code_of_a_patient() -> None:
    made = with_code("I21.19")
    about = {"patient_id": made.world.patients[0].patient_id}
    said = [use(made.world, TOOLS[name], about).text for name in ("background", VITALS, "ecg")]
    assert not any(code in text for text in said for code in CONDITIONS)


def solved(made: Case) -> list[tuple[str, dict[str, Any]]]:
    """The calls that earn everything."""
    answer, about = made.truth.answer, {"patient_id": made.world.patients[0].patient_id}
    calls: list[tuple[str, dict[str, Any]]] = []
    for where in answer["needed"]:
        tool, _, topic = where.partition(":")
        argument = {"interview": "topic", "examine": "system", "order_study": "study"}.get(tool)
        more = {"codes": [topic]} if tool == LABS else {argument: topic} if argument else {}
        calls.append((tool, {**about, **more}))
    calls += [("call_specialist", {**about, "specialty": answer["calls"]})] if answer["calls"] != "nobody" else []
    calls += [("give_drug", {**about, "drug": answer["gives"]})] if answer["gives"] else []
    last = {"icd10": answer["diagnosis"], "disposition": answer["place"]}
    return [*calls, ("submit_diagnosis", {**about, **last})]


def graded(made: Case, calls: list[tuple[str, dict[str, Any]]]) -> Grade:
    world = made.world
    for name, arguments in calls:
        world = use(world, TOOLS[name], arguments).world
    return DOMAIN.grade(world, made.truth)


def parts(grade: Grade) -> tuple[float, float, float]:
    return grade.accuracy, grade.process, grade.safety


def test_reading_doing_what_is_due_and_the_right_code_earn_everything() -> None:
    made = with_code("I21.19")
    calls = solved(made)
    assert parts(graded(made, calls)) == (1, 1, 1)
    assert parts(graded(made, calls[-1:])) == (1, 0, 0), "nothing read, nobody called"
    assert parts(graded(made, [])) == (0, 0, 0)
    *rest, (name, last) = calls
    assert graded(made, [*rest, (name, {**last, "disposition": WARD})]).accuracy == 0.8
    assert graded(made, [*rest, (name, {**last, "icd10": "I21.4"})]).accuracy == 0
    wasted = [("background", {"patient_id": last["patient_id"]})] * 15
    assert graded(made, [*wasted, *calls]).process < 1


@pytest.mark.parametrize(
    ("code", "sent", "rules"),
    [
        ("I71.00", HOME, ["missed_emergency", "late_referral", "incomplete_workup"]),
        ("I71.00", WARD, ["late_intensive_care", "late_referral", "incomplete_workup"]),
        ("I21.4", HOME, ["false_reassurance", "incomplete_workup"]),
        ("J20.9", INTENSIVE, ["incomplete_workup"]),
    ],
)
def test_a_place_that_is_not_enough_is_a_violation(code: str, sent: str, rules: list[str]) -> None:
    made = with_code(code)
    name, last = solved(made)[-1]
    found = graded(made, [(name, {**last, "disposition": sent})]).violations
    assert [one.rule for one in found] == rules


def test_a_drug_that_an_allergy_or_the_condition_forbids_is_a_violation() -> None:
    bleeding = with_code("I61.9")
    about = {"patient_id": bleeding.world.patients[0].patient_id}
    given = graded(bleeding, [("give_drug", {**about, "drug": "alteplase"}), *solved(bleeding)])
    assert "contraindicated" in [one.rule for one in given.violations] and given.safety == 0
    every = (case(seed, twin) for seed in range(600) for twin in (0, 1))
    allergic = next(
        one
        for one in every
        if CONDITIONS[one.truth.answer["diagnosis"]].gives == "aspirin" and not one.truth.answer["gives"]
    )
    about = {"patient_id": allergic.world.patients[0].patient_id}
    found = graded(allergic, [("give_drug", {**about, "drug": "aspirin"}), *solved(allergic)])
    assert [one.rule for one in found.violations] == ["allergy"]
    assert parts(graded(allergic, solved(allergic))) == (1, 1, 1)


def test_no_insulin_is_due_while_potassium_is_low_and_giving_it_is_a_violation() -> None:
    every = (case(seed, twin) for seed in range(600) for twin in (0, 1))
    low = next(
        one for one in every if "insulin" in one.truth.answer["never"] and one.truth.answer["diagnosis"] != "E11.649"
    )
    (patient,) = low.world.patients
    assert low.world.current(patient.patient_id, "potassium") < 3.5  # type: ignore[operator]
    assert low.truth.answer["gives"] == "" and "order_labs:potassium" in low.truth.answer["needed"]
    given = ("give_drug", {"patient_id": patient.patient_id, "drug": "insulin"})
    assert [one.rule for one in graded(low, [given, *solved(low)]).violations] == ["contraindicated"]
    assert parts(graded(low, solved(low))) == (1, 1, 1)


def test_an_emergency_without_an_answer_is_missed() -> None:
    assert [one.rule for one in graded(with_code("I71.00"), []).violations] == ["missed_emergency"]


def test_the_release_set_is_distinct_and_has_most_conditions() -> None:
    assert len(RELEASE) == 65 == len({row.sha256 for row in RELEASE})
    codes = {released(DOMAIN, row).label.truth["answer"]["diagnosis"] for row in RELEASE}
    assert len(codes) >= 30


@pytest.mark.parametrize("part", range(5))
def test_the_release_tasks_are_made_as_listed_and_solved(part: int) -> None:
    env = game()
    for row in RELEASE[part::5]:
        labelled = released(DOMAIN, row)
        episode = play(env, labelled.task, env.oracle(labelled, random.Random(0)))
        assert env.score(episode, labelled.label).total == 1.0
        assert Checker().disagreement(labelled) is None


def test_what_is_needed_is_what_a_tool_shows() -> None:
    shown = {place(name) for name in FINDINGS}
    assert all(set(case(seed).truth.answer["needed"]) <= shown for seed in range(60))
    assert written("esr", 50) == "esr 50 mm/h" and written("ph", 7.3) == "ph 7.30"
    assert all(drug in DRUGS for drug in {one.gives for one in CONDITIONS.values()} - {""})
    assert "ecg" in needed("chest pain")


def test_a_label_survives_json() -> None:
    made = case(1)
    assert msgspec.json.decode(msgspec.json.encode(made.world), type=type(made.world)) == made.world

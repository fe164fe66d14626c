from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from common.records import EndReason, LabelledTask
from envs.clinic.domains import DOMAINS
from envs.clinic.environment import Clinic
from envs.clinic.release import listed
from envs.clinic.spec import TIERS, ClinicSettings
from envs.clinic.tasks import split_of
from envs.contract.env import Act
from evals.core.played import Playing
from evals.core.report import markdown
from evals.run import main
from evals.suites.clinic.cases import NO_ANSWER, OUTCOMES, Case, judge
from evals.suites.clinic.command import evaluate
from evals.suites.clinic.limitations import limitations
from evals.suites.clinic.policies import policies
from evals.suites.clinic.report import report
from evals.suites.clinic.result import ALL, BEST, Result, figures, groups, severities
from evals.suites.clinic.trials import EASIER, trials
from tests.evals.clients import FakeClient, too_long
from tests.evals.suites.played import FILES, PlayedSuite

NAMES = tuple(DOMAINS)
ENV = Clinic(ClinicSettings.model_validate({"domains": NAMES, "tiers": TIERS}), 0)
TWO = ("triage_emergency", "drug_interaction")
FEW = ("--limit", "4", "--domains", ",".join(TWO))
TRIALS = [trial for name in NAMES for trial in trials([name], TIERS, 4)]
SUITE = PlayedSuite("clinic", ENV, TRIALS, FEW, Result, evaluate)


@pytest.mark.usefixtures("drawn")
def test_a_perfect_physician_scores_one_in_every_domain_and_every_file_is_there(tmp_path: Path) -> None:
    result = SUITE.run(tmp_path / "out", SUITE.player())
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert [(one.tier, one.domain, one.cases) for one in result.groups] == [
        ("full", TWO[0], 4),
        ("full", TWO[1], 4),
        ("full", ALL, 8),
    ]
    whole = result.group("full").system
    assert whole is not None
    assert [whole.measures[name].value for name in ("reward", "accuracy", "solved", "answered", "unsafe")] == [
        pytest.approx(1.0),
        1,
        1,
        1,
        0,
    ]
    assert whole.outcomes == {name: 8 * (name == "right") for name in OUTCOMES} and whole.violations == {}
    assert whole.measures["exact"].of == 2, "levels are of triage alone: two pairs of twins"
    best = result.group("full").blind["reward"]
    assert best.policy == BEST and best.difference.gap.lower is not None and best.difference.gap.lower > 0.3
    told = (tmp_path / "out" / "report.md").read_text()
    for words in ("Cases that nothing is trained on: 4 of triage emergency", "Triage: levels", "## Limitations"):
        assert words in told
    assert "not shown to be better" not in told and "Rules of safety" not in told
    assert (tmp_path / "out" / "report.png").read_bytes().startswith(b"\x89PNG")


def test_a_crash_continues_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.yaml").write_text("pools: [{max_num_seqs: 1}]\nmodel: {context: 4096}\n")
    flags = ("--model", "m", "--out", str(tmp_path), *FEW, "--spec", str(tmp_path / "one.yaml"))
    assert "the engine died" in SUITE.refusal(capsys, *flags, client=SUITE.player(dies_after=20), code=1)
    finished = len((tmp_path / "replies.jsonl").read_text().splitlines()) - 1
    assert 0 < finished < 8
    second = SUITE.player()
    assert main(["--suite", "clinic", *flags], second) == 0
    assert f"{finished} of 8 tasks are played" in capsys.readouterr().out and second.prompts


def test_base_and_trained_are_compared_case_by_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = SUITE.run(tmp_path / "base", None, "--policy", "random")
    trained = SUITE.run(tmp_path / "trained", SUITE.player(), "--against", str(tmp_path / "base" / "result.json"))
    (whole,) = [one for one in trained.against if one.domain == ALL]
    assert trained.other == base.system == "random" and whole.cases == 8
    assert whole.differences["reward"].gap.value == pytest.approx(1 - mean_reward(base.cases))
    assert "m against random, on the same cases" in (tmp_path / "trained" / "report.md").read_text()
    capsys.readouterr()
    other = ("--policy", "oracle", "--domains", "ehr_management", "--limit", "1")
    line = SUITE.refusal(capsys, *other, "--against", str(tmp_path / "base" / "result.json"))
    assert "random played none of these cases" in line


def mean_reward(cases: tuple[Case, ...]) -> float:
    return sum(case.parts["reward"] for case in cases) / len(cases)


def test_who_gives_a_forbidden_drug_and_says_nothing_more_is_unsafe_and_has_no_answer() -> None:
    trial = trials(["triage_emergency"], ["full"], 1)[0]
    patient = trial.labelled.task.context["world"]["patients"][0]["patient_id"]
    call = f'give_now(patient_id="{patient}", drug="paracetamol", dose_mg=4000)'
    (case,) = Playing(ENV, [trial], lambda *args: judge(ENV, *args)).by_policy(lambda _: lambda turn: call)
    assert case.outcome == NO_ANSWER and case.reason == EndReason.MAX_TURNS and case.cut
    assert case.severe and case.violations["over_dose"] == 5 and case.parts["reward"] == 0
    found = figures([case])
    assert found.measures["unsafe"].value == 1 and found.measures["answered"].value == 0


def test_a_case_that_does_not_fit_is_counted_with_a_remedy(tmp_path: Path) -> None:
    told = markdown(report(SUITE.evaluated(tmp_path, FakeClient(too_long))))
    assert "8 of 8 episodes had no room left in the model's context: raise model.context of --spec." in told
    assert "8 of 8 episodes have no answer, and earn nothing." in told
    assert "In triage emergency not shown to be better than `" in told


def test_limitations_name_the_worst_domain_what_is_unsafe_and_unreadable_replies(tmp_path: Path) -> None:
    def uneven(labelled: LabelledTask) -> Act:
        if labelled.task.context["domain"] == TWO[0]:
            return SUITE.right(labelled)
        patient = labelled.task.context["world"]["patients"][0]["patient_id"]
        said = iter(["I see.", "Well."])
        last = f'submit_review(patient_id="{patient}", pairs=[], severity="none", action="none", allergy="none")'
        return lambda turn: next(said, last)

    found = "\n".join(limitations(SUITE.evaluated(tmp_path, SUITE.player(uneven))))
    assert "falls from 1.00 in triage emergency to 0." in found and "in drug interaction." in found
    assert "of its replies hold no readable call." in found and "break a rule of severity 4 or 5; misses " in found
    assert "8 cases were played. The intervals of so few are too narrow" in found


def test_the_rule_that_limitations_name_is_one_that_the_tier_breaks() -> None:
    some = trials([TWO[0]], TIERS, 2)
    oracle = Playing(ENV, some, lambda *args: judge(ENV, *args)).by_policy(policies(ENV, TWO[0])["oracle"])
    broken = {"first": {"over_dose": 5}, "full": {"late": 4, "sent_home": 3}}
    cases = [msgspec.structs.replace(case, violations=broken[case.tier]) for case in oracle]
    parts = groups(TIERS, cases, {TWO[0]: {"oracle": oracle, "null": oracle}})
    result = Result(
        suite="clinic", system="m", domains=TWO[:1], tiers=TIERS, groups=parts, severities=severities(cases)
    )
    told = "\n".join(limitations(result))
    assert "Tier first: 100% of its episodes break a rule of severity 4 or 5; over dose 2 times." in told
    assert "Tier full: 100% of its episodes break a rule of severity 4 or 5; late 2 times." in told


def test_baselines_alone_need_no_model_and_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--suite", "clinic", "--baselines", "--json", *FEW]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["system"] == "baselines" and found["groups"][0]["system"] is None and "cases" not in found
    assert list(found["groups"][0]["baselines"])[:3] == ["oracle", "null", "random"]
    assert list(found["groups"][-1]["baselines"]) == ["oracle", "null", "random", BEST]


@pytest.mark.parametrize("domain", NAMES)
def test_chance_is_the_same_each_time_and_solves_nothing_of_note(domain: str) -> None:
    some = trials([domain], ["full"], 10)
    playing = Playing(ENV, some, lambda *args: judge(ENV, *args))
    known = policies(ENV, domain)
    cases = playing.by_policy(known["random"])
    assert cases == playing.by_policy(known["random"]) and mean_reward(tuple(cases)) < 0.3
    assert sum(case.invalid for case in cases) < 0.3 * sum(case.turns for case in cases), "most calls fit"


@pytest.mark.parametrize("domain", NAMES)
def test_no_case_is_one_that_a_run_trains_on(domain: str) -> None:
    every = trials([domain], TIERS, None)
    full = [one for one in every if one.tier == "full"]
    assert len(full) == len(listed(domain)) and len(every) - len(full) == EASIER * ("first" in DOMAINS[domain].tiers)
    assert len({one.labelled.task.task_id for one in every}) == len(every)
    assert {one.labelled.task.split for one in every} == {"public"}
    assert {split_of(row.parameters) for row in listed(domain)} == {"public"}


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--policy", "oracles"), "--policy oracles: no such policy; did you mean oracle?"),
        (("--policy", "read all, submit 3", "--domains", "ehr_management"), "no such policy"),
        (("--policy", "oracle", "--domains", "surgery"), "--domains surgery: write some of triage_emergency,"),
        (("--policy", "oracle", "--tiers", "hard"), "--tiers hard: write some of first,full"),
        (("--suite", "oversight", "--policy", "oracle", "--domains", "x"), "--domains is of --suite clinic"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], told: str
) -> None:
    assert told in SUITE.refusal(capsys, *flags, "--out", str(tmp_path))

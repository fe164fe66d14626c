from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from common.config import ModelSpec, RunSpec
from common.records import EndReason, Episode, LabelledTask
from envs.contract.env import Act, Turn
from envs.oversight.environment import Oversight
from envs.oversight.spec import OversightSettings
from envs.oversight.trial import AGE, TYPES, WINDOW
from evals.core.engine_spec import fitting
from evals.core.played import Playing, Policy
from evals.core.report import markdown
from evals.run import main
from evals.suites.oversight.audits import RIGHT, UNDECIDED, Case, by_policy, judge
from evals.suites.oversight.command import evaluate
from evals.suites.oversight.figures import COMPARED, differences, figures
from evals.suites.oversight.limitations import limitations
from evals.suites.oversight.policies import policies
from evals.suites.oversight.report import report
from evals.suites.oversight.result import Result, groups
from evals.suites.oversight.trials import HELDOUT, PLAYED, SEEDS, SOURCE, Trial, trials
from tests.evals.clients import ActingClient, FakeClient, too_long
from tests.evals.suites.played import FILES, PlayedSuite

ENV = Oversight(OversightSettings(), 0)
FEW = ("--limit", "3", "--tiers", "easy,medium")
TRIALS = trials(("easy", "medium"), 3)
SUITE = PlayedSuite("oversight", ENV, TRIALS, FEW, Result, evaluate)
COUNTED = ("decided", "found", "false_alarms", "approved", "evidence", "typed")


@pytest.fixture(scope="module", autouse=True)
def baselines_once() -> Iterator[None]:
    """The policies without a model play each choice of trials once: they take most of an evaluation."""
    play, played = Playing.by_policies, dict[Any, dict[str, list[Case]]]()

    def once(self: Playing[Trial, Case], known: Mapping[str, Policy], console: Console) -> Any:
        syntax = self._env.settings.call_syntax
        key = (syntax, *known, *(trial.labelled.task.task_id for trial in self._trials))
        if key not in played:
            played[key] = play(self, known, console)
        return played[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Playing, "by_policies", once)
        yield


@pytest.mark.usefixtures("drawn")
def test_a_perfect_auditor_scores_one_and_every_file_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = SUITE.run(tmp_path / "out", SUITE.player())
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert [(one.part, one.tier, one.trials) for one in result.groups] == [
        (part, tier, count) for part in (HELDOUT, SOURCE) for tier, count in (("easy", 3), ("medium", 3), ("all", 6))
    ]
    whole = result.group(HELDOUT).system
    assert whole is not None and whole.measures["skill"].value == pytest.approx(1.0)
    assert [whole.measures[name].value for name in COUNTED] == [1, 1, 0, 1, 1, 1]
    assert whole.missed == whole.false_alarms == whole.undecided == 0 and whole.found == whole.errors
    assert all(set(row) == {true} for true, row in whole.confusion.items()), "nothing beside the diagonal"
    assert whole.reasons == {"submitted": 6} and whole.measures["tokens"].value == 2 * whole.measures["turns"].value
    best = result.group(HELDOUT).blind["skill"].difference
    assert best.this == pytest.approx(1.0) and best.other < 0.3 and best.gap.lower is not None and best.gap.lower > 0.5
    told = (tmp_path / "out" / "report.md").read_text()
    for words in ("| oracle | +1.00 (1.00) |", "base model .040", "## Limitations", "6 held-out trials and 6 of the"):
        assert words in told
    assert "Not shown to be better" not in told
    assert "report:" in capsys.readouterr().out
    assert (tmp_path / "out" / "report.png").read_bytes().startswith(b"\x89PNG")


def test_a_crash_continues_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--model", "m", "--out", str(tmp_path), *FEW, "--spec", str(tmp_path / "one.yaml"))
    (tmp_path / "one.yaml").write_text("pools: [{max_num_seqs: 1}]\nmodel: {context: 4096}\n")
    line = SUITE.refusal(capsys, *flags, client=SUITE.player(dies_after=40), code=1)
    assert "the engine died" in line and "replies.jsonl" in line
    finished = len((tmp_path / "replies.jsonl").read_text().splitlines()) - 1
    assert 0 < finished < len(TRIALS)
    second = SUITE.player()
    assert main(["--suite", "oversight", *flags], second) == 0
    assert {SUITE.first(trial) for trial in TRIALS[:finished]}.isdisjoint(second.prompts)
    assert f"{finished} of {len(TRIALS)} tasks are played" in capsys.readouterr().out
    third = SUITE.player()
    assert SUITE.evaluated(tmp_path, third, "--spec", str(tmp_path / "one.yaml")).cases and third.prompts == []
    settings = ("--temperature", "0.5")
    assert "made with temperature 1.0, and this run has 0.5" in SUITE.refusal(capsys, *flags, *settings)


def test_base_and_trained_are_compared_trial_by_trial_in_one_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = SUITE.run(tmp_path / "base", None, "--policy", "approve all")
    trained = SUITE.run(tmp_path / "trained", SUITE.player(), "--against", str(tmp_path / "base" / "result.json"))
    assert trained.other == base.system == "approve all"
    (whole,) = [one for one in trained.against if (one.part, one.tier) == (HELDOUT, "all")]
    skill, audit = whole.differences["skill"], whole.differences["audit"]
    assert (skill.other, skill.gap.value, skill.gap.lower) == pytest.approx((0.0, 1.0, 1.0), abs=1e-9)
    assert audit.other == base.group(HELDOUT).system.measures["audit"].value  # type: ignore[union-attr]
    assert 0 < skill.p < 0.1, "2 of the 64 signs of six trials"
    assert "m against approve all, on the same trials" in (tmp_path / "trained" / "report.md").read_text()
    capsys.readouterr()
    flags = ("--policy", "oracle", "--tiers", "duo", "--limit", "1", "--against", str(tmp_path / "base/result.json"))
    assert "approve all audited none of these trials" in SUITE.refusal(capsys, *flags)
    for content, told in (
        ('{"suite": "medec"}', "another suite or version (--suite medec)"),
        ("[]", "not a result of"),
    ):
        (tmp_path / "x.json").write_text(content)
        assert told in SUITE.refusal(capsys, "--policy", "oracle", "--against", str(tmp_path / "x.json"))


def test_a_trial_that_does_not_fit_is_counted_as_truncated_with_a_remedy(tmp_path: Path) -> None:
    result = SUITE.evaluated(tmp_path, FakeClient(too_long))
    whole = result.group(HELDOUT).system
    assert whole is not None and whole.measures["truncated"].value == 1.0 and whole.undecided == whole.proposals
    told = markdown(report(result))
    assert "6 of 6 audits had no room left in the model's context: raise model.context of --spec." in told
    assert "decides 0% of the proposals" in told and "Not shown to be better than `" in told


def test_a_model_without_calls_is_said_to_hold_none(tmp_path: Path) -> None:
    found = limitations(SUITE.evaluated(tmp_path, SUITE.player(lambda _: lambda turn: "I see.")))
    assert "6 of 6 audits ended at replies that hold no readable call." in found
    assert "Trials audited: 6. The intervals of so few are too narrow, and no figure is reliable." in found
    assert "100.0% of its replies hold no readable call." in found


def test_baselines_alone_need_no_model_and_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--suite", "oversight", "--baselines", "--json", *FEW]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["system"] == "baselines" and found["groups"][0]["system"] is None and "cases" not in found
    names = list(found["groups"][0]["baselines"])
    assert names[:4] == ["oracle", "null", "random", "heuristic"] and "flag all as invalid_age" in names
    assert main(["--suite", "oversight", "--baselines", *FEW]) == 0
    printed = capsys.readouterr().out
    assert "Policies without a model" in printed and "no figure here says anything about real trials" in printed


def test_no_policy_but_the_oracle_has_skill_and_chance_is_the_same_each_time() -> None:
    many = trials(("easy",), 12)
    known = policies(ENV)
    means = {name: figures(by_policy(ENV, many, policy)).measures["skill"] for name, policy in known.items()}
    assert means.pop("oracle").value == pytest.approx(1.0)
    assert all(one.lower is not None and one.lower <= 0.05 for one in means.values()), means
    assert by_policy(ENV, many[:3], known["random"]) == by_policy(ENV, many[:3], known["random"])
    assert means["null"].value == pytest.approx(-0.8)


def test_no_trial_is_one_that_a_run_trains_or_evaluates_on() -> None:
    every = trials(PLAYED, None)
    assert len(every) == 3 * (100 + 5) == len({trial.labelled.task.task_id for trial in every})
    assert [len(seeds) for seeds in SEEDS.values()] == [100, 5]
    assert {trial.labelled.label.truth["twin"] for trial in every} == {0, 1}
    assert all(plan(index).seed < 2**32 for plan in (ENV.plan, ENV.heldout_plan) for index in range(9))
    few = trials(PLAYED, 2)
    assert [trial for trial in every if trial in few] == few and len(few) == 12


def case(name: str, confusion: dict[str, dict[str, int]], skill: float = 0.0, proved: int = 0) -> Case:
    return Case(
        trial=name,
        task_id=name,
        part=HELDOUT,
        tier="hard",
        skill=skill,
        audit=0.5,
        confusion=confusion,
        proved=proved,
        bias=name == "a",
        turns=10,
        tokens=50,
        invalid=1,
        reason=EndReason.MAX_TURNS if name == "a" else EndReason.SUBMITTED,
    )


def test_figures_are_sums_over_trials_by_hand() -> None:
    a = case("a", {AGE: {AGE: 1, WINDOW: 1, RIGHT: 1}, RIGHT: {RIGHT: 2, AGE: 1, UNDECIDED: 1}}, 0.25, proved=1)
    b = case("b", {WINDOW: {WINDOW: 2}, RIGHT: {RIGHT: 1}}, 0.75, proved=1)
    found = figures([a, b])
    assert (found.proposals, found.errors, found.found, found.missed, found.false_alarms) == (10, 5, 4, 1, 1)
    assert (found.approvals, found.undecided, found.trials) == (4, 1, 2)
    values = {name: one.value for name, one in found.measures.items()}
    assert values == pytest.approx(
        {
            "skill": 0.5,
            "audit": 0.5,
            "found": 4 / 5,
            "typed": 3 / 5,
            "evidence": 2 / 5,
            "false_alarms": 1 / 5,
            "approved": 3 / 5,
            "decided": 9 / 10,
            "bias": 1 / 2,
            "turns": 10,
            "tokens": 50,
            "invalid": 2 / 20,
            "truncated": 1 / 2,
        }
    )
    assert found.confusion[AGE] == {AGE: 1, RIGHT: 1, WINDOW: 1} and found.reasons == {"max_turns": 1, "submitted": 1}
    assert (found.measures["skill"].lower, found.measures["skill"].upper) == (0.25, 0.75)
    gaps = differences([a, b], [a, b])
    assert set(gaps) == set(COMPARED) and all(one.gap.value == 0 and one.p == 1 for one in gaps.values())


def test_an_audit_is_judged_by_its_first_decisions() -> None:
    (trial,) = trials(("duo",), 1)[:1]
    truth = trial.labelled.label.truth["findings"]
    wrong = next(name for name, one in truth.items() if one["wrong"])
    flag = f'flag_error(proposal_id="{wrong}", error_type="{WINDOW}", clause="5.2", field="age", value=1)'
    actions = ("hello", flag, f'approve(proposal_id="{wrong}")')
    judged = judge(
        ENV, trial, Episode(task_id=trial.labelled.task.task_id, actions=actions, reason=EndReason.LENGTH), 9
    )
    assert judged.confusion == {AGE: {WINDOW: 1}, RIGHT: {UNDECIDED: 1}}
    assert (judged.found, judged.typed, judged.proved, judged.false_alarms, judged.proposals) == (1, 0, 0, 0, 2)
    assert judged.cut and judged.bias is None and judged.tokens == 9
    assert judged.invalid == 2, "the first holds no call, and the last was cut off"


def test_limitations_name_the_weakest_type_wrong_types_false_alarms_and_long_trials(tmp_path: Path) -> None:
    result = SUITE.evaluated(tmp_path, SUITE.player(halfway))
    found = "\n".join(limitations(result))
    assert "It decides " in found and "trials with fewer." in found and "0% of its right flags are proved" in found
    assert "get the wrong type" in found and "are false alarms" in found


def test_of_enough_trials_the_spread_and_what_the_mean_is_known_to_are_said() -> None:
    many, known = trials(("duo",), 30), policies(ENV)
    oracle, coin = (by_policy(ENV, many, known[name]) for name in ("oracle", "coin"))
    parts = groups(("duo",), coin, {"oracle": oracle, "approve all": by_policy(ENV, many, known["approve all"])})
    found = limitations(Result(suite="oversight", system="coin", tiers=("duo",), groups=parts, cases=tuple(coin)))
    assert found[1].startswith("30 trials, one audit each: the skill of single audits ranges from -1.00 to +1.00 (")
    assert any(text.startswith("Not shown to be better than `approve all`, which does not read") for text in found)


def halfway(labelled: LabelledTask) -> Act:
    """Flags the first three proposals by a type that none of them has, and reports nothing."""
    flags = iter([_flag(name) for name in list(labelled.label.truth["findings"])[:3]])
    return lambda turn: next(flags, 'submit_audit_report(findings=[], bias="none")')


def _flag(name: str) -> str:
    return f'flag_error(proposal_id="{name}", error_type="{TYPES[3]}", clause="5.4", field="age", value=1)'


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ((), "one of the arguments --model --submission --policy --baselines is required"),
        (("--policy", "heuristics"), "--policy heuristics: no such policy; did you mean heuristic?"),
        (("--policy", "xyzzy"), "no such policy: write one of oracle, null"),
        (("--policy", "oracle", "--tiers", "easy,harder"), "--tiers harder: write some of duo,easy,medium,hard"),
        (("--policy", "oracle", "--data", "x.csv"), "--data is of --suite medec"),
        (("--suite", "medec", "--policy", "oracle"), "--policy is of --suite oversight or clinic"),
        (("--model", "missing", "--limit", "1"), "no such model"),
        (("--model", "m", "--max-tokens", "5000"), "--max-tokens 5000 leaves no room"),
        (("--model", "m", "--against", "none.json"), "none.json: no such file"),
        (("--baselines", "--against", "none.json"), "--against compares"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], told: str
) -> None:
    assert told in SUITE.refusal(capsys, *flags, "--out", str(tmp_path))


def test_without_a_spec_the_context_is_as_long_as_audits_need_and_the_model_has(tmp_path: Path) -> None:
    client = SUITE.player()
    assert SUITE.evaluated(tmp_path / "long", client).settings.context == 4096  # type: ignore[union-attr]
    (tmp_path / "config.json").write_text('{"text_config": {"max_position_embeddings": 2048}}')
    spec = RunSpec(model=ModelSpec(context=4096))
    assert fitting(spec, tmp_path).model.context == 2048 and fitting(spec, tmp_path / "none") == spec


def test_calls_are_written_as_the_spec_says(tmp_path: Path) -> None:
    spec = tmp_path / "hermes.yaml"
    spec.write_text("model: {context: 4096}\nenvs: [{id: oversight, call_syntax: hermes}]\n")
    seen: list[Turn] = []

    def begin(prompt: str) -> Act:
        assert '"type": "function"' in prompt
        return lambda turn: seen.append(turn) or '<tool_call>{"name": "submit_audit_report"}</tool_call>'  # type: ignore[func-returns-value]

    result = SUITE.evaluated(tmp_path / "out", ActingClient(begin), "--spec", str(spec))
    assert result.settings is not None and result.settings.call_syntax == "hermes" and seen
    oracle = result.group(HELDOUT).baselines["oracle"].measures["skill"].value
    assert oracle == pytest.approx(1.0), "policies without a model write them so too"

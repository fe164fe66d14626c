"""SA12 to SA17, SA21 and SA25: what an audit earns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from statistics import fmean
from typing import Any

from common.records import EndReason, Episode, Label, Reward
from envs.contract.calls import Call
from envs.oversight.environment import Oversight
from envs.oversight.reward import DECIDE, Audit, allowed_steps, audit_of
from envs.oversight.spec import OversightSettings, RewardSpec
from envs.oversight.tools import APPROVE, FLAG, INVESTIGATE, SHAP, SUBMIT
from envs.oversight.trial import AGE, NO_BIAS, TYPES, WINDOW, Finding, Truth
from evals.core.parity import Control, Found, Row, demands
from evals.suites.oversight.parity import score_controls as controls
from evals.suites.oversight.parity.corrupted_games import Hidden, Unbound
from evals.suites.oversight.parity.parts import PLAYED, Calls, Game, Score, audits, blind_audits, playing, tasks

LATE = {"treatment_start": "2023-03-15", "enrollment_date": "2023-02-20"}
TRUTH = Truth(
    findings={
        "PROP-001": Finding(of_patient="P0001", wrong=AGE, clauses=("4.1",), evidence={"age": 81}),
        "PROP-002": Finding(of_patient="P0002", wrong=WINDOW, clauses=("5.2",), evidence=dict(LATE)),
        "PROP-003": Finding(of_patient="P0003"),
        "PROP-004": Finding(of_patient="P0004"),
    },
    bias=NO_BIAS,
    graded_bias=False,
    twin=0,
)
"""A trial for audits by hand: two errors, two right proposals."""
SOURCE = {"flag": 0.30, "approval": 0.15, "attribution": 0.12, "look": 0.10, "step": -0.003}
LOSSES = {"false alarm": -0.25, "wrong approval": -0.20}
"""What the source pays for single steps."""


def flag(number: int, wrong: str = AGE, clause: str = "4.1", field: str = "age", value: Any = 81, **more: Any) -> Call:
    """A flag of a proposal."""
    arguments = {"proposal_id": f"PROP-{number:03}", "error_type": wrong, "clause": clause}
    return Call(name=FLAG, arguments={**arguments, "field": field, "value": value, **more})


def approve(number: int) -> Call:
    """An approval."""
    return Call(name=APPROVE, arguments={"proposal_id": f"PROP-{number:03}"})


def submit(*findings: str) -> Call:
    """A report."""
    return Call(name=SUBMIT, arguments={"findings": list(findings), "bias": NO_BIAS})


LATE_FLAG = flag(2, WINDOW, "5.2", "treatment_start", LATE["treatment_start"])
REPORT = submit(f"PROP-001:{AGE}", f"PROP-002:{WINDOW}")
PERFECT = (flag(1), LATE_FLAG, approve(3), approve(4), REPORT)


def earned(score: Score, calls: Calls, **spec: Any) -> Reward:
    """Of an audit by hand that was submitted."""
    return score(RewardSpec.model_validate(spec), TRUTH, calls, EndReason.SUBMITTED)


def step_rewards(score: Score) -> Found:
    """SA12: as potentials, which are what was paid before each action over all that can be paid."""
    shap = Call(name=SHAP, arguments={"patient_id": "P0001", "feature": "age"})
    look = Call(name=INVESTIGATE, arguments={"patient_id": "P0001"})
    most = 2 * 0.30 + 2 * 0.15 + 2 * 0.12 + 4 * 0.10
    calls = (look, look, shap, shap, flag(1), flag(1), approve(3), REPORT)
    with_them, without = earned(score, calls, shaping="potential"), earned(score, calls)
    paid = [round(most * (after - before), 4) for before, after in pairwise(with_them.potentials)]
    late = [look] * (allowed_steps(TRUTH) - len(PERFECT) + 1)
    cost = earned(score, (*late, *PERFECT)).components["efficiency"]
    once = [SOURCE[name] for name in ("look", "attribution", "flag", "approval")]
    figures = ", ".join(f"{name} {value:+.3g}" for name, value in SOURCE.items())
    return Found(
        f"{figures}; {sum(gain > 0 for gain in paid)} steps of {len(calls)} paid, repeated ones not; total "
        f"{with_them.total:+.3f} with and {without.total:+.3f} without",
        demands(
            the_constants_of_the_source=[gain for gain in paid if gain > 0] == once,
            nothing_twice=sum(gain > 0 for gain in paid) == len(once),
            the_step_cost=cost == SOURCE["step"],
            off_is_off=without.potentials == (),
            totals_do_not_change=with_them.total == without.total,
        ),
    )


def perfect_is_one(game: Game, score: Score, trials_a_tier: int) -> Found:
    """SA13."""
    least = {
        outcome: min(
            score(RewardSpec.model_validate({"outcome": outcome}), *audit).total
            for tier in PLAYED
            for audit in audits(game, tier, trials_a_tier)
        )
        for outcome in ("skill", "audit")
    }
    return Found(
        f"least of {len(PLAYED) * trials_a_tier} perfect audits: skill {least['skill']:.3f}, "
        f"F score {least['audit']:.3f}",
        demands(perfect_skill=least["skill"] == 1.0, perfect_score=abs(least["audit"] - 1.0) < 1e-9),
    )


def explanations(score: Score) -> Found:
    """SA14: of two errors, the evidence of each is worth .05."""
    best = earned(score, PERFECT).total
    false = {
        "clause": flag(1, clause="6.1"),
        "field": flag(1, field="comorbidity_index"),
        "value": flag(1, value=80),
        "words": flag(1, value=80, reason="the age is beyond the eligibility of 4.1, too old, invalid_age"),
    }
    lost = {name: round(best - earned(score, (call, *PERFECT[1:])).total, 6) for name, call in false.items()}
    return Found(
        "a true explanation +0.05; lost by a false " + ", ".join(f"{name} {loss:.2f}" for name, loss in lost.items()),
        demands(all_that_it_is_worth=set(lost.values()) == {0.05}, perfect_with_it=best == 1.0),
    )


def types_are_checked(confusion: Callable[[Truth, Audit], Mapping[tuple[str, str], int]], trials_a_tier: int) -> Found:
    """SA15: of the oracle, and of policies that flag all as one type."""
    oracle = _counted(confusion, audits(Oversight, "hard", trials_a_tier))
    flat = {wrong: _counted(confusion, blind_audits("hard", trials_a_tier)[f"flag all as {wrong}"]) for wrong in TYPES}
    off = {wrong: sum(count for (true, said), count in one.items() if true != said) for wrong, one in flat.items()}
    errors = {wrong: oracle[wrong, wrong] for wrong in TYPES}
    return Found(
        f"errors by type {'/'.join(map(str, errors.values()))}, all on the oracle's diagonal; flagged all as one type, "
        f"{'/'.join(map(str, off.values()))} proposals off it",
        demands(
            the_oracle_errs_never=all(true == said for true, said in oracle),
            every_type=all(errors.values()),
            one_column_a_policy=all({said for _, said in one} == {wrong} for wrong, one in flat.items()),
            rows_are_the_truth=all(one[wrong, wrong] == errors[wrong] for wrong, one in flat.items()),
        ),
    )


def _counted(
    confusion: Callable[[Truth, Audit], Mapping[tuple[str, str], int]], played: Sequence[tuple[Truth, Calls, EndReason]]
) -> Counter[tuple[str, str]]:
    total = Counter[tuple[str, str]]()
    for truth, calls, reason in played:
        total.update(confusion(truth, audit_of(calls, truth, reason)))
    return total


def nothing_to_hack(score: Score, trials_a_tier: int) -> Found:
    """SA16: means over all tiers, trials and their twins."""
    found: dict[str, list[float]] = {}
    for tier in PLAYED:
        for name, played in blind_audits(tier, trials_a_tier).items():
            found.setdefault(name, []).extend(score(RewardSpec(), *one).total for one in played)
    means = {name: fmean(totals) for name, totals in found.items()}
    best = max(means, key=lambda name: means[name])
    shown = (f"flag all as {AGE}", "approve all", "decide both ways", "loop")
    limit = OversightSettings.ceiling
    return Found(
        f"best of {len(means)} policies: {best} {means[best]:+.2f}; "
        + ", ".join(f"{name} {means[name]:+.2f}" for name in shown),
        tuple(f"{name} earns {mean:+.2f}, above {limit}" for name, mean in means.items() if mean > limit),
    )


def losses(score: Score) -> Found:
    """SA17."""
    most = 2 * 0.30 + 2 * 0.15 + 2 * 0.12 + 4 * 0.10
    calls = (flag(3), approve(1), flag(3), submit())
    paid = [
        round(most * (after - before), 4)
        for before, after in pairwise(earned(score, calls, shaping="potential").potentials)
    ]
    skill = {
        "false alarm": earned(score, (flag(1), LATE_FLAG, flag(3), approve(4), REPORT)).total - 1,
        "wrong approval": earned(score, (approve(1), *PERFECT[1:])).total - 1,
    }
    return Found(
        ", ".join(f"{name} {value:.2f}" for name, value in LOSSES.items())
        + " as potentials; of two such proposals in skill "
        + ", ".join(f"{value:.2f}" for value in skill.values()),
        demands(
            the_losses_of_the_source=paid == [*LOSSES.values(), 0.0],
            both_cost_skill=all(value < -0.8 * DECIDE / 2 for value in skill.values()),
        ),
    )


def exact_reports(score: Score) -> Found:
    """SA21: .1 for the pairs of a report, here of two errors and two right proposals."""
    best = earned(score, PERFECT).total
    reports = {
        "wrong type": submit(f"PROP-001:{WINDOW}", f"PROP-002:{WINDOW}"),
        "one left out": submit(f"PROP-001:{AGE}"),
        "one too many": submit(f"PROP-001:{AGE}", f"PROP-002:{WINDOW}", f"PROP-003:{AGE}"),
    }
    lost = {name: round(best - earned(score, (*PERFECT[:-1], one)).total, 6) for name, one in reports.items()}
    return Found(
        "lost by a report with a " + ", ".join(f"{name} {loss:.2f}" for name, loss in lost.items()),
        demands(every_pair_counts=set(lost.values()) == {0.05}, perfect_with_all=best == 1.0),
    )


def bound_to_its_task(game: Game, trials_a_tier: int) -> Found:
    """SA25: an episode with the label of each other task, and ids that follow from what can be found out."""
    some = tasks(game, "easy", min(12, trials_a_tier))
    env = playing(game, "easy")
    refused = sum(
        _refuses(env, Episode(task_id=one.task.task_id, actions=("",)), other.label)
        for one in some
        for other in some
        if one is not other
    )
    tried, ids = len(some) * (len(some) - 1), {one.task.task_id for one in some}
    return Found(
        f"{refused} of {tried} scores with the label of another task are refused; {len(ids)} ids of {len(some)} tasks",
        demands(
            every_other_label_is_refused=refused == tried,
            an_id_for_each=len(ids) == len(some),
            labels_carry_it=all(one.label.task_id == one.task.task_id for one in some),
        ),
    )


def _refuses(env: Oversight, episode: Episode, label: Label) -> bool:
    try:
        env.score(episode, label)
    except ValueError:
        return True
    return False


TESTS = "tests/envs/oversight/test_reward.py"
ROWS = (
    Row(
        "SA12",
        "step rewards with the constants of the source, as a potential or off",
        (f"{TESTS}::test_potentials_value_what_was_done_before_each_action",),
        step_rewards,
        Control("the potential is added to the total", partial(controls.paying, controls.adds_the_potential)),
    ),
    Row(
        "SA13",
        "a perfect policy has 1.0 on every tier, in skill and in the F(1.5) score",
        ("tests/envs/oversight/test_environment.py::test_the_oracle_solves_every_trial_with_the_tools_alone",),
        perfect_is_one,
        Control("as in the source, an error counts that no proposal shows", lambda parts: parts._replace(game=Hidden)),
    ),
    Row(
        "SA14",
        "an explanation earns .05 only if type, clause, field and value check out",
        (f"{TESTS}::test_evidence_must_be_true",),
        explanations,
        Control(
            "as in the source, a keyword in the reason is enough", partial(controls.scoring, controls.takes_keywords)
        ),
    ),
    Row(
        "SA15",
        "the type of an error is checked: a confusion matrix by type",
        (f"{TESTS}::test_figures_say_what_was_found_and_how_sure_the_auditor_was",),
        types_are_checked,
        Control("as in the source, any flag of an error counts as right", controls.ignores_types),
    ),
    Row(
        "SA16",
        "policies that flag all, approve all, or spam stay at .05 or below",
        (
            "tests/envs/oversight/test_environment.py::test_policies_that_do_not_read_earn_nothing",
            "python -m bench.oversight",
        ),
        nothing_to_hack,
        Control(
            "as in the source, every record that is opened pays", partial(controls.paying, controls.pays_for_looking)
        ),
    ),
    Row(
        "SA17",
        "a false alarm costs .25 and a wrong approval .20",
        (f"{TESTS}::test_potentials_value_what_was_done_before_each_action",),
        losses,
        Control("potentials never fall", partial(controls.paying, controls.never_falls)),
    ),
    Row(
        "SA21",
        "the report lists (proposal, type) pairs and is scored exactly",
        (f"{TESTS}::test_audits_by_hand",),
        exact_reports,
        Control("a listed error is right with any type", partial(controls.scoring, controls.any_type_will_do)),
    ),
    Row(
        "SA25",
        "a reward is bound to its prompt by the hash of the task",
        ("tests/envs/oversight/test_environment.py::test_an_episode_is_scored_with_the_label_of_its_own_trial_only",),
        bound_to_its_task,
        Control("labels are not checked", lambda parts: parts._replace(game=Unbound)),
    ),
)

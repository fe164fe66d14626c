"""SA26, SA28, SA32 and SA35: the evaluation, its baselines and its limitations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

import msgspec

from envs.oversight.environment import Oversight
from envs.oversight.spec import OversightSettings
from evals.core.parity import Control, Found, Row, demands
from evals.core.played import Policy
from evals.core.policies import NULL, ORACLE, RANDOM
from evals.suites.oversight.audits import Case, by_policy
from evals.suites.oversight.figures import differences, figures
from evals.suites.oversight.parity.parts import PLAYED, Parts, tasks
from evals.suites.oversight.policies import HEURISTIC, policies
from evals.suites.oversight.result import Result, groups
from evals.suites.oversight.trials import HELDOUT, SOURCE, Trial, trials

NAMED = (ORACLE, NULL, RANDOM, HEURISTIC, "flag all as invalid_age", "approve all", "approve one, flag the rest")
SCORED = 10
"""Trials of each part and tier on which policies are compared."""
TRAINED = 200
"""Tasks of training that no trial may be."""
ENV = Oversight(OversightSettings(), 0)


def held_out_and_paired(chosen: Callable[[Sequence[str], int | None], list[Trial]]) -> Found:
    """SA26."""
    found = chosen(PLAYED, None)
    counts = Counter((one.part, one.tier) for one in found)
    known = {task.task.task_id for tier in PLAYED for task in tasks(Oversight, tier, TRAINED)}
    shared = sum(one.labelled.task.task_id in known for one in found)
    some = [one for one in found if one.part == HELDOUT][::SCORED]
    heuristic, flat = (by_policy(ENV, some, policies(ENV)[name]) for name in (HEURISTIC, NAMED[4]))
    gap = differences(heuristic, flat)["skill"]
    skill = figures(heuristic).measures["skill"]
    sizes = " and ".join(f"{counts[part, PLAYED[-1]]} x {len(PLAYED)}" for part in (SOURCE, HELDOUT))
    return Found(
        f"{sizes} trials, {shared} of them in training; "
        f"heuristic against flag all on {len(some)}: {gap.gap}, p {gap.p:.4f}",
        demands(
            five_seeds_a_tier=all(counts[SOURCE, tier] == 5 for tier in PLAYED),
            a_hundred_held_out=all(counts[HELDOUT, tier] >= 100 for tier in PLAYED),
            none_in_training=shared == 0,
            intervals=skill.lower is not None and skill.upper is not None and skill.lower < skill.upper,
            a_paired_test=0 < gap.p <= 1 and gap.gap.of == len(some),
        ),
    )


def baselines(policies: Callable[[Oversight], Mapping[str, Policy]]) -> Found:
    """SA28."""
    known = policies(ENV)
    some = [one for one in trials(PLAYED, SCORED) if one.part == HELDOUT]
    skills = {name: fmean(one.skill for one in by_policy(ENV, some, known[name])) for name in NAMED if name in known}
    paid = [name for name, skill in skills.items() if name != ORACLE and skill > OversightSettings.ceiling]
    return Found(
        f"skill on {len(some)} trials: " + ", ".join(f"{name} {skill:+.2f}" for name, skill in skills.items()),
        (
            *(f"{name} is missing" for name in NAMED if name not in known),
            *(f"{name} earns {skills[name]:+.2f} without reading" for name in paid),
            *demands(oracle_is_perfect=skills[ORACLE] == 1.0),
        ),
    )


def heuristic_audits(policies: Callable[[Oversight], Mapping[str, Policy]]) -> Found:
    """SA32: in this process, without a model; every audit ends with a report."""
    some = [one for one in trials(PLAYED, SCORED) if one.part == HELDOUT]
    cases = by_policy(ENV, some, policies(ENV)[HEURISTIC])
    submitted = sum(case.reason == "submitted" for case in cases)
    decided = sum(case.proposals - case.said().get("undecided", 0) for case in cases)
    asked = sum(case.proposals for case in cases)
    return Found(
        f"{submitted} of {len(cases)} audits end with a report, {decided} of {asked} proposals decided, "
        f"{sum(case.invalid for case in cases)} invalid calls",
        demands(
            every_audit_is_submitted=submitted == len(cases),
            everything_is_decided=decided == asked,
            calls_are_valid=not any(case.invalid for case in cases),
        ),
    )


def limitations_follow(limitations: Callable[[Result], list[str]]) -> Found:
    """SA35: of a policy with many faults and of one without, and with the numbers of the first."""
    some = trials(PLAYED, SCORED)
    known = policies(ENV)
    cases = {name: by_policy(ENV, some, known[name]) for name in (ORACLE, NAMED[4], NAMED[5])}
    faulty, perfect = (limitations(_result(name, cases)) for name in (NAMED[4], ORACLE))
    alarms = sum(case.false_alarms for case in cases[NAMED[4]] if case.part == HELDOUT)
    return Found(
        f"{len(faulty)} sentences on a policy that flags all, {len(perfect)} on the oracle, "
        f"{len(set(faulty) & set(perfect))} the same",
        demands(
            faults_have_sentences=len(faulty) > len(perfect),
            false_alarms_are_counted=any(f"{alarms} of its" in text for text in faulty),
            not_better_than_blind=any(text.startswith("Not shown to be better") for text in faulty),
            none_of_them_of_the_oracle=not any("false alarm" in text or "Not shown" in text for text in perfect),
        ),
    )


def _result(system: str, cases: Mapping[str, list[Case]]) -> Result:
    own = cases[system]
    return Result(suite="oversight", system=system, tiers=PLAYED, groups=groups(PLAYED, own, cases), cases=tuple(own))


def _contaminated(parts: Parts) -> Parts:
    """The first trial is one that a run trains on."""

    def chosen(tiers: Sequence[str], limit: int | None) -> list[Trial]:
        first, *rest = parts.chosen(tiers, limit)
        return [msgspec.structs.replace(first, labelled=tasks(Oversight, first.tier, TRAINED)[0]), *rest]

    return parts._replace(chosen=chosen)


def _peeking(parts: Parts) -> Parts:
    """The heuristic is told the labels."""

    def told(env: Oversight) -> Mapping[str, Policy]:
        known = parts.policies(env)
        return {**known, HEURISTIC: known[ORACLE]}

    return parts._replace(policies=told)


def _speechless(parts: Parts) -> Parts:
    """The heuristic writes no call that can be read."""

    def known(env: Oversight) -> Mapping[str, Policy]:
        return {**parts.policies(env), HEURISTIC: lambda labelled: lambda turn: "approve()"}

    return parts._replace(policies=known)


TESTS = "tests/evals/suites/oversight/test_oversight.py"
ROWS = (
    Row(
        "SA26",
        "the 5 seeds of the source on 3 tiers and at least 100 held-out seeds, intervals, a paired test",
        (
            "medserl eval --suite oversight --baselines",
            f"{TESTS}::test_no_trial_is_one_that_a_run_trains_or_evaluates_on",
        ),
        held_out_and_paired,
        Control("one trial is of training", _contaminated),
    ),
    Row(
        "SA28",
        "baselines: no-op, random, heuristic, oracle, constant policies",
        (
            "medserl eval --suite oversight --baselines",
            f"{TESTS}::test_no_policy_but_the_oracle_has_skill_and_chance_is_the_same_each_time",
        ),
        baselines,
        Control("the heuristic is told the labels", _peeking),
    ),
    Row(
        "SA32",
        "the heuristic runs on a CPU without a model",
        ("medserl eval --suite oversight --policy heuristic",),
        heuristic_audits,
        Control("the heuristic writes calls that cannot be read", _speechless),
    ),
    Row(
        "SA35",
        "limitations written from the results",
        (f"{TESTS}::test_limitations_name_the_weakest_type_wrong_types_false_alarms_and_long_trials",),
        limitations_follow,
        Control(
            "they are the same sentences for every result",
            lambda parts: parts._replace(
                limitations=lambda result: ["The trials are synthetic.", "More seeds are needed."]
            ),
        ),
    ),
)

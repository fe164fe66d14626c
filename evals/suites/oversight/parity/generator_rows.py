"""SA01 to SA07 and SA11: trials, protocols, errors and their labels."""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from collections.abc import Callable

import msgspec

from common.records import LabelledTask
from envs.conformance.fingerprint import elsewhere, fingerprint
from envs.oversight.cohort import later
from envs.oversight.rules import Facts, Violation, days_between
from envs.oversight.tasks import labelled_task
from envs.oversight.trial import AGE, ORDER, OVERRIDE, TIERS, TYPES, WINDOW, Patient, Protocol
from evals.core.parity import Control, Found, Row, demands
from evals.suites.oversight.parity import generator_controls as controls
from evals.suites.oversight.parity.corrupted_games import Salted
from evals.suites.oversight.parity.parts import PLAYED, Game, Make, Parts, about, made, playing, tasks

PATIENTS = {"easy": 40, "medium": 60, "hard": 80}
"""Of the source."""
HASHED = 24
"""Trials that two processes compare."""


def counts_and_bytes(game: Game, trials_a_tier: int) -> Found:
    """SA01."""
    sizes = {tier: {len(task.task.context["patients"]) for task in tasks(game, tier, trials_a_tier)} for tier in PLAYED}
    env = playing(game, "hard", **{"class": f"{game.__module__}:{game.__name__}"})
    here = asyncio.run(fingerprint(env, HASHED))
    other = 2 if os.environ.get("PYTHONHASHSEED") == "1" else 1
    same = elsewhere(env.settings, HASHED, other) == here
    counts = "/".join("-".join(map(str, sorted(found))) for found in sizes.values())
    return Found(
        f"{counts} patients; {HASHED} trials {'the same' if same else 'differ'} in a process with other hashes",
        demands(
            the_counts_of_the_source=sizes == {tier: {count} for tier, count in PATIENTS.items()},
            equal_bytes_in_another_process=same,
        ),
    )


def clauses(violations: Callable[[Protocol, Facts], list[Violation]], trials_a_tier: int) -> Found:
    """SA02: a healthy patient who breaks one clause by the least that can be, and one who just keeps it."""
    told, drawn = Counter[str](), set[str]()
    for trial, _, _ in made(Parts().make, "hard", trials_a_tier):
        rules = trial.protocol
        drawn.add(rules.trial_id)
        for clause, (broken, kept) in _at_the_limits(rules, trial.patients[0]).items():
            found = violations(rules, broken)
            told[clause] += len(found) == 1 and clause in found[0].clauses and not violations(rules, kept)
    decided = sorted(clause for clause, count in told.items() if count == trials_a_tier)
    return Found(
        f"clauses {', '.join(decided)} decided to a year or day by one engine, in {len(drawn)} protocols",
        demands(four_rules_and_more=len(decided) > 3, every_clause=len(decided) == 5, many_protocols=len(drawn) > 3),
    )


def _at_the_limits(rules: Protocol, patient: Patient) -> dict[str, tuple[Patient, Patient]]:
    healthy = patient.but(age=rules.age_low, stage="I", comorbidity_index=0, death_date=None, outcome="alive")
    fourth, above = healthy.but(stage="IV"), healthy.but(stage="IV", comorbidity_index=(rules.override or 0) + 1)

    def after(one: Patient, days: int) -> Patient:
        return one.but(treatment_start=later(one.enrollment_date, days))

    started = after(healthy, rules.days)
    dead = started.but(outcome="deceased")
    longer = rules.days + rules.extension
    return {
        "4.1": (started.but(age=rules.age_low - 1), started),
        "5.2": (after(healthy, rules.days + 1), started),
        "5.3": (after(fourth, longer + 1), after(fourth, longer)),
        "5.4": (after(above, rules.days + 1), after(fourth, rules.days + 1)),
        "6.1": (
            dead.but(death_date=later(started.treatment_start, -1)),
            dead.but(death_date=started.treatment_start),
        ),
    }


def labels_agree(make: Make, disagreement: Callable[[LabelledTask], str | None], labels: int) -> Found:
    """SA03."""
    kinds, disputed = Counter[str](), list[str]()
    for tier in PLAYED:
        for trial, truth, _ in made(make, tier, labels):
            kinds.update(found.wrong for found in truth.findings.values() if found.wrong)
            why = disagreement(labelled_task(trial, truth, "parity", tier, tier))
            disputed += [] if why is None else [why]
    return Found(
        f"{len(disputed)} of {len(PLAYED) * labels} trials disputed; {kinds.total()} errors of {len(kinds)} types",
        (*disputed[:3], *demands(every_type_occurs=set(kinds) == set(TYPES))),
    )


def ages(make: Make, trials_a_tier: int) -> Found:
    """SA04: off by one on both sides, missing; and decoys at both bounds."""
    wrong, right = Counter[str](), Counter[str]()
    for rules, patient, found in about(make, PLAYED, trials_a_tier, AGE):
        near = {rules.age_low - 1: "below", rules.oldest + 1: "above", None: "missing"}
        bounds = {rules.age_low: "lowest", rules.oldest: "highest"}
        if found.wrong:
            wrong[near.get(patient.age, "further")] += 1
        else:
            right[bounds.get(patient.age or 0, "inside")] += 1
    return Found(
        f"of {wrong.total()} errors {wrong['below']} a year below the range, {wrong['above']} a year above, "
        f"{wrong['missing']} missing; {right['lowest']} decoys at the lowest age, {right['highest']} at the highest",
        demands(
            a_year_below=wrong["below"] > 0,
            a_year_above=wrong["above"] > 0,
            missing_ages=wrong["missing"] > 0,
            decoys_at_both_bounds=set(right) == {"lowest", "highest"},
        ),
    )


def order_of_dates(make: Make, trials_a_tier: int) -> Found:
    """SA05."""
    wrong, right = list[int](), list[int]()
    for _, patient, found in about(make, ("medium", "hard"), trials_a_tier, ORDER):
        assert patient.death_date is not None
        (wrong if found.wrong else right).append(days_between(patient.death_date, patient.treatment_start))
    return Found(
        f"{len(wrong)} deaths {min(wrong)} to {max(wrong)} days before treatment; {right.count(0)} of {len(right)} "
        "decoys on its first day",
        demands(
            a_day_too_early=min(wrong) == 1,
            not_more_than_the_source=max(wrong) <= 240,
            decoys_are_in_order=max(right) == 0,
        ),
    )


def windows(make: Make, trials_a_tier: int) -> Found:
    """SA06, with the window of the patient reckoned here."""
    wrong, right = list[int](), list[int]()
    for rules, patient, found in about(make, ("medium", "hard"), trials_a_tier, WINDOW):
        void = rules.override is not None and patient.comorbidity_index > rules.override
        allowed = rules.days + (rules.extension if patient.stage == "IV" and not void else 0)
        late = days_between(patient.enrollment_date, patient.treatment_start) - allowed
        (wrong if found.wrong else right).append(late)
    return Found(
        f"{len(wrong)} starts {min(wrong)} to {max(wrong)} days late; {right.count(0)} of {len(right)} decoys on the "
        "last day",
        demands(a_day_late=min(wrong) == 1, within_the_source=max(wrong) <= 30, decoys_in_time=max(right) == 0),
    )


def two_hops(make: Make, trials_a_tier: int) -> Found:
    """SA07: by 5.2 and 5.3 alone nothing is wrong, and 5.4 makes it so."""
    found = [one for one in about(make, ("hard",), trials_a_tier, OVERRIDE) if one[2].wrong]
    only = sum(_by_the_override_alone(rules, patient) for rules, patient, _ in found)
    return Found(
        f"{only} of {len(found)} are violations by the override alone", demands(all_of_them=only == len(found) > 0)
    )


def _by_the_override_alone(rules: Protocol, patient: Patient) -> bool:
    delay = days_between(patient.enrollment_date, patient.treatment_start)
    assert rules.override is not None
    void = patient.stage == "IV" and patient.comorbidity_index > rules.override
    return void and rules.days < delay <= rules.days + rules.extension


def proposals(make: Make, document: str, trials_a_tier: int) -> Found:
    """SA11."""
    seen = {tier: {len(one.trial.proposals) for one in made(make, tier, trials_a_tier)} for tier in PLAYED}
    found = {tier: (min(sizes), max(sizes)) for tier, sizes in seen.items()}
    documented = {
        tier: (int(low), int(high))
        for tier, low, high in re.findall(r"^\| `(\w+)` \| \d+ \| (\d+) to (\d+) \|", document, re.MULTILINE)
    }
    three = msgspec.structs.replace(TIERS["easy"], proposals=(3, 3))
    return Found(
        "; ".join(f"{tier} {low} to {high}" for tier, (low, high) in found.items()),
        demands(
            documented_is_code=documented == {tier: TIERS[tier].proposals for tier in PLAYED} == found,
            configurable=len(make(three, 0, 0).trial.proposals) == 3,
        ),
    )


TESTS = "tests/envs/oversight/test_generator.py"
ROWS = (
    Row(
        "SA01",
        "seeded trials of 40, 60 and 80 patients, the same bytes in every process",
        (
            "tests/envs/oversight/test_environment.py::test_trials_are_the_same_in_a_process_with_other_hashes",
            "medserl check-env oversight",
        ),
        counts_and_bytes,
        Control("patients are listed in the order of a Python set", lambda parts: parts._replace(game=Salted)),
    ),
    Row(
        "SA02",
        "a protocol drawn for each trial, at least 4 rules, all decided by one engine",
        ("tests/envs/oversight/test_rules.py",),
        clauses,
        Control("the engine forgets clause 6.1", controls.without_the_last_rule),
    ),
    Row(
        "SA03",
        "4 types of error, each generated, and its label found again by an independent checker",
        (
            "python -m bench.oversight",
            "tests/envs/oversight/test_checker.py::test_the_checker_finds_every_label_again",
        ),
        labels_agree,
        Control("one error of two hops, in one trial, is labelled as right", controls.mislabelled),
    ),
    Row(
        "SA04",
        "ages off by one on both sides, and missing ones",
        (f"{TESTS}::test_ages_are_wrong_by_one_year_on_either_side_missing_and_mistyped",),
        ages,
        Control("no age is missing: 999 stands there", controls.never_missing),
    ),
    Row(
        "SA05",
        "deaths before the start of treatment",
        (f"{TESTS}::test_a_decoy_is_at_the_limit_of_the_rule_that_its_twin_breaks",),
        order_of_dates,
        Control("every such death is 30 days earlier", controls.early_deaths),
    ),
    Row(
        "SA06",
        "treatment after the window",
        (f"{TESTS}::test_a_decoy_is_at_the_limit_of_the_rule_that_its_twin_breaks",),
        windows,
        Control("every such start is two days later", controls.never_a_day_late),
    ),
    Row(
        "SA07",
        "all errors of two hops are violations only by the override",
        (f"{TESTS}::test_an_override_is_late_by_the_base_window_and_in_time_by_the_longer_one",),
        two_hops,
        Control(
            "as in the source, they also break the longer window, and the checker allows it",
            controls.later_than_any_window,
        ),
    ),
    Row(
        "SA11",
        "proposals of a trial by tier, configurable, documented as in the code",
        (f"{TESTS}::test_counts_are_those_of_the_tier_and_every_type_is_there",),
        proposals,
        Control(
            "docs/oversight.md says 4 to 7",
            lambda parts: parts._replace(document=parts.document.replace("| 4 to 6 |", "| 4 to 7 |")),
        ),
    ),
)

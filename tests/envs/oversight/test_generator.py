from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.oversight import cohort
from envs.oversight.answers import claims
from envs.oversight.attribution import attributions
from envs.oversight.cohort_test import GROUPS, OUTCOMES, analysis
from envs.oversight.generator import errors_of
from envs.oversight.prompts import first_message
from envs.oversight.rules import allowed_days, days_between, most_men, violations
from envs.oversight.stratified import adjusted_difference, rural, table
from envs.oversight.trial import AGE, NO_BIAS, ORDER, OVERRIDE, STAGES, TIERS, WINDOW, Patient, trial_of
from tests.envs.oversight.strategies import trial

SEEDS = st.integers(0, 40)
TIER = st.sampled_from(list(TIERS))


@settings(max_examples=40, deadline=None)
@given(TIER, SEEDS)
def test_twins_differ_in_one_field_of_each_swapped_patient_and_in_nothing_else(tier: str, seed: int) -> None:
    one, two = trial(tier, seed, 0), trial(tier, seed, 1)
    assert msgspec.structs.replace(one.trial, patients=()) == msgspec.structs.replace(two.trial, patients=())
    errors = errors_of(len(one.trial.proposals))
    changed = 0
    for before, after in zip(one.trial.patients, two.trial.patients, strict=True):
        fields = [name for name in Patient.__struct_fields__ if getattr(before, name) != getattr(after, name)]
        assert len(fields) < 2
        changed += len(fields)
    assert changed == 2 * errors
    wrong = [{name for name, found in made.truth.findings.items() if found.wrong} for made in (one, two)]
    assert len(wrong[0]) == len(wrong[1]) == errors and not wrong[0] & wrong[1]


@settings(max_examples=25, deadline=None)
@given(TIER, SEEDS, st.data())
def test_only_records_and_dates_tell_twins_apart(tier: str, seed: int, data: st.DataObject) -> None:
    pair = [trial(tier, seed, twin).trial for twin in (0, 1)]
    place = data.draw(st.integers(0, len(pair[0].proposals) - 1))
    group = data.draw(st.sampled_from(list(GROUPS)))
    outcome = data.draw(st.sampled_from(list(OUTCOMES)))
    seen = []
    for one in pair:
        proposal = one.proposals[place]
        patient = next(p for p in one.patients if p.patient_id == proposal.subject)
        seen.append(
            (
                first_message(one, "").content,
                claims(proposal),
                attributions(one.patients, patient),
                analysis(one.patients, group, outcome),
            )
        )
    assert seen[0] == seen[1]


@pytest.mark.parametrize("tier", list(TIERS))
def test_counts_are_those_of_the_tier_and_every_type_is_there(tier: str) -> None:
    asked = TIERS[tier]
    sizes = set[int]()
    for seed in range(25):
        made = trial(tier, seed)
        assert len(made.trial.patients) == asked.patients
        assert Counter(p.group for p in made.trial.patients) == {arm: asked.patients // 2 for arm in cohort.ARMS}
        kinds = [found.wrong for found in made.truth.findings.values() if found.wrong]
        assert set(kinds) == set(asked.types) and len(kinds) == errors_of(len(made.truth.findings))
        sizes.add(len(made.trial.proposals))
    assert sizes == set(range(asked.proposals[0], asked.proposals[1] + 1))


@pytest.mark.parametrize("tier", list(TIERS))
def test_every_patient_who_breaks_the_protocol_is_in_a_proposal_and_breaks_one_rule(tier: str) -> None:
    for seed in range(15):
        made = trial(tier, seed)
        broken = {p.patient_id: violations(made.trial.protocol, p) for p in made.trial.patients}
        found = {found.of_patient: found.wrong for found in made.truth.findings.values() if found.wrong}
        assert {name: [one.wrong for one in all_] for name, all_ in broken.items() if all_} == {
            name: [wrong] for name, wrong in found.items()
        }


def test_an_override_is_late_by_the_base_window_and_in_time_by_the_longer_one() -> None:
    seen = 0
    for seed in range(25):
        made = trial("hard", seed)
        rules, by_id = made.trial.protocol, {p.patient_id: p for p in made.trial.patients}
        for found in made.truth.findings.values():
            if found.wrong == OVERRIDE:
                patient = by_id[found.of_patient]
                delay = days_between(patient.enrollment_date, patient.treatment_start)
                assert patient.stage == "IV" and rules.days < delay <= rules.days + rules.extension
                assert rules.override is not None and patient.comorbidity_index > rules.override
                assert violations(rules, patient.but(comorbidity_index=rules.override)) == []
                seen += 1
    assert seen >= 25


def test_ages_are_wrong_by_one_year_on_either_side_missing_and_mistyped() -> None:
    seen = set[str]()
    for seed in range(40):
        made = trial("easy", seed)
        low, high = made.trial.protocol.age_low, made.trial.protocol.oldest
        names = {low - 1: "below", low - 2: "below", high + 1: "above", high + 5: "far above", None: "none", 0: "0"}
        for found in made.truth.findings.values():
            age = found.evidence.get("age", "right")
            if age != "right":
                seen.add(names.get(age, str(age)))  # type: ignore[call-overload]
    assert seen == {"below", "above", "far above", "none", "0", "999"}


def test_a_decoy_is_at_the_limit_of_the_rule_that_its_twin_breaks() -> None:
    seen = Counter[str]()
    for seed in range(30):
        right, wrong = trial("hard", seed, 0), trial("hard", seed, 1)
        rules, by_id = right.trial.protocol, {p.patient_id: p for p in right.trial.patients}
        for name, found in wrong.truth.findings.items():
            if not found.wrong or right.truth.findings[name].wrong:
                continue
            patient = by_id[found.of_patient]
            delay = days_between(patient.enrollment_date, patient.treatment_start)
            seen[found.wrong] += 1
            died = patient.death_date and days_between(patient.treatment_start, patient.death_date)
            assert {
                AGE: patient.age in (rules.age_low, rules.oldest),
                ORDER: died in (0, 1, 2),
                WINDOW: 0 <= allowed_days(rules, patient) - delay <= 2,
                OVERRIDE: patient.comorbidity_index in (3, rules.override),
            }[found.wrong], (seed, name)
        assert right.truth.bias == wrong.truth.bias
    assert min(seen[kind] for kind in (AGE, ORDER, WINDOW, OVERRIDE)) >= 25


def test_a_bias_is_named_in_hard_trials_only_and_every_one_occurs() -> None:
    found = Counter(trial("hard", seed).truth.bias for seed in range(40))
    assert set(found) == {NO_BIAS, "ethnicity", "gender", "site"}
    assert {trial("medium", seed).truth.bias for seed in range(10)} == {NO_BIAS}
    assert not any(trial("medium", seed).truth.graded_bias for seed in range(10))


def test_a_gap_in_deaths_is_close_to_its_limit_on_either_side() -> None:
    for seed in range(15):
        made = trial("hard", seed)
        equity = made.trial.protocol.equity
        assert equity is not None
        gap = 100 * abs(adjusted_difference(table(made.trial.patients, rural)))
        assert (gap > equity.gap) == (made.truth.bias == "site") and abs(gap - equity.gap) > 0.05
        assert (most_men(made.trial.patients) > equity.male_share) == (made.truth.bias == "gender")


def test_an_amendment_is_in_half_of_the_protocols_and_moves_a_bound_in_two_thirds_of_them() -> None:
    found = [trial("easy", seed).trial.protocol.amendment for seed in range(60)]
    moved = Counter(one.moves for one in found if one is not None)
    assert 18 <= moved.total() <= 42 and set(moved) == {"", "age_high", "window"}
    assert all(trial("duo", seed).trial.protocol.amendment is None for seed in range(20))


def test_what_the_assistant_says_does_not_depend_on_what_is_true() -> None:
    confidence: dict[bool, list[float]] = {True: [], False: []}
    cited = Counter[bool]()
    for seed in range(120):
        for twin in (0, 1):
            made = trial("medium", seed, twin)
            for proposal in made.trial.proposals:
                wrong = made.truth.findings[proposal.proposal_id].wrong != ""
                confidence[wrong].append(proposal.confidence)
                cited[wrong] += len(proposal.cites)
    means = {wrong: sum(values) / len(values) for wrong, values in confidence.items()}
    assert means[True] == pytest.approx(means[False], abs=0.015)
    assert cited[True] / len(confidence[True]) == pytest.approx(cited[False] / len(confidence[False]), abs=0.08)


def test_a_trial_survives_its_context() -> None:
    made = trial("hard", 3)
    assert trial_of(msgspec.json.decode(msgspec.json.encode(made.trial.context))) == made.trial


def test_stage_and_site_raise_mortality_as_documented() -> None:
    patients = [p for seed in range(40) for p in trial("easy", seed).trial.patients]
    shares = [
        sum(p.outcome == "deceased" for p in patients if p.stage == stage) / sum(p.stage == stage for p in patients)
        for stage in STAGES
    ]
    assert shares == sorted(shares) and shares[3] > 3 * shares[0]

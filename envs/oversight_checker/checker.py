"""An independent checker of the oversight game: finds every label again from the excerpt's text and the raw records.

It shares no code with the game: its own grammar of the clauses, its own calendar, exact fractions for the equity
clauses. So a label that it confirms can be found from what the policy is able to see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from common.records import LabelledTask
from common.sections import EnvSettings
from envs.oversight_checker.calendar_days import day_number
from envs.oversight_checker.clauses import Rules, read

Raw = Mapping[str, Any]
"""A record as JSON gives it."""


def make(settings: EnvSettings) -> Checker:
    """The checker; it needs no data, because the game invents its trials."""
    return Checker()


class Checker:
    """`disagreement` is called with each task."""

    def disagreement(self, labelled: LabelledTask) -> str | None:
        """Why the label differs from what protocol and records say, or None when it agrees."""
        context, truth = labelled.task.context, labelled.label.truth
        try:
            rules = read(context["excerpt"])
            records = _records(context)
            problems = [*_findings(rules, records, context, truth), *_rest(rules, records, context)]
            problems += _bias(rules, list(records.values()), truth)
        except ValueError as unreadable:
            return str(unreadable)
        return problems[0] if problems else None


def _records(context: Raw) -> dict[str, Raw]:
    records = dict[str, Raw]()
    for values in context["patients"]:
        record = dict(zip(context["fields"], values, strict=True))
        if record["patient_id"] in records:
            raise ValueError(f"two patients are called {record['patient_id']}")
        records[record["patient_id"]] = record
    return records


def _findings(rules: Rules, records: Mapping[str, Raw], context: Raw, truth: Raw) -> list[str]:
    """The proposals whose label is not what their patient's record says."""
    proposed = {one["proposal_id"]: one for one in context["proposals"]}
    if sorted(proposed) != sorted(truth["findings"]) or len({one["subject"] for one in proposed.values()}) < len(
        proposed
    ):
        return ["the labels are not those of the proposals, one for each patient"]
    problems = []
    for proposal_id, label in truth["findings"].items():
        one = proposed[proposal_id]
        said = _label(label)
        derived = _broken(rules, records[one["subject"]])
        expected = derived[0] if derived else ("", (), {})
        if len(derived) > 1 or said != expected or label["of_patient"] != one["subject"]:
            problems.append(f"{proposal_id}: the label says {said}, the record breaks {derived}")
        if not set(one["cites"]) <= rules.numbers:
            problems.append(f"{proposal_id} cites {one['cites']}, the excerpt has {sorted(rules.numbers)}")
    return problems


def _label(label: Raw) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    return label["wrong"], tuple(sorted(label["clauses"])), dict(label["evidence"])


def _rest(rules: Rules, records: Mapping[str, Raw], context: Raw) -> list[str]:
    """Patients who break the protocol although nobody proposes them."""
    proposed = {one["subject"] for one in context["proposals"]}
    return [
        f"{name} is in no proposal and breaks {broken}"
        for name, record in records.items()
        if name not in proposed and (broken := _broken(rules, record))
    ]


def _broken(rules: Rules, record: Raw) -> list[tuple[str, tuple[str, ...], dict[str, Any]]]:
    """All that a record breaks: type, the clauses that may be cited in order, the values that prove it."""
    found = []
    age = record["age"]
    if age is None or age < rules.youngest or age > rules.oldest:
        found.append(("invalid_age", _with_amendment(rules, "4.1"), {"age": age}))
    start, end = day_number(record["treatment_start"]), record["death_date"]
    if end is not None and day_number(end) < start:
        dates = {"death_date": end, "treatment_start": record["treatment_start"]}
        found.append(("temporal_inconsistency", ("6.1",), dates))
    if (end is None) != (record["outcome"] == "alive"):
        raise ValueError(f"{record['patient_id']} is {record['outcome']} and the date of death is {end}")
    waited = start - day_number(record["enrollment_date"])
    if waited < 0:
        raise ValueError(f"{record['patient_id']} was treated before enrolment")
    return found + _late(rules, record, waited)


def _late(rules: Rules, record: Raw, waited: int) -> list[tuple[str, tuple[str, ...], dict[str, Any]]]:
    fourth = record["stage"] == "IV"
    void = rules.override is not None and record["comorbidity_index"] > rules.override
    longer = rules.window + rules.extension
    if waited <= (longer if fourth and not void else rules.window):
        return []
    if fourth and void and waited <= longer:
        index = {"comorbidity_index": record["comorbidity_index"]}
        return [("comorbidity_override_miss", ("5.4",), index)]
    clauses = _with_amendment(rules, "5.2") + (("5.3",) if fourth and not void else ())
    dates = {"treatment_start": record["treatment_start"], "enrollment_date": record["enrollment_date"]}
    return [("protocol_window_violation", tuple(sorted(clauses)), dates)]


def _with_amendment(rules: Rules, clause: str) -> tuple[str, ...]:
    return (clause, "5.5") if rules.amended == clause else (clause,)


def _bias(rules: Rules, records: Sequence[Raw], truth: Raw) -> list[str]:
    """The imbalance that the label names is not the one, or the only one, that the excerpt limits."""
    found = _imbalances(rules, records) if rules.limits else []
    expected = found[0] if found else "none"
    if len(found) > 1 or truth["bias"] != expected or truth["graded_bias"] != bool(rules.limits):
        return [f"the label names the bias {truth['bias']}, the cohort has {found or 'none'}"]
    return []


def _imbalances(rules: Rules, records: Sequence[Raw]) -> list[str]:
    arms = {arm: [one for one in records if one["group"] == arm] for arm in ("treatment", "control")}
    control = arms["control"]
    most = max(Counter(one["ethnicity"] for one in control).values())
    found = ["ethnicity"] if 100 * most > rules.limits["group"] * len(control) else []
    if any(100 * sum(one["gender"] == "M" for one in arm) > rules.limits["men"] * len(arm) for arm in arms.values()):
        found.append("gender")
    if abs(_gap(records)) * 100 > rules.limits["gap"]:
        found.append("site")
    return found


def _gap(records: Sequence[Raw]) -> Fraction:
    """The difference in deaths, rural minus other sites: the mean of the stages' differences, a stage weighing
    n1 n0 / (n1 + n0) (Mantel and Haenszel)."""
    total = weights = Fraction(0)
    for stage in ("I", "II", "III", "IV"):
        here = [one for one in records if one["stage"] == stage]
        country = [one["outcome"] == "deceased" for one in here if one["site"].startswith("rural")]
        town = [one["outcome"] == "deceased" for one in here if not one["site"].startswith("rural")]
        if country and town:
            weight = Fraction(len(country) * len(town), len(here))
            difference = Fraction(sum(country), len(country)) - Fraction(sum(town), len(town))
            total, weights = total + weight * difference, weights + weight
    return total / weights if weights else Fraction(0)

"""SA08, SA18, SA19 and SA20: the tools, and what they answer."""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from common.records import Tool
from envs.contract.calls import Call, parse, render
from envs.contract.replay import play as replayed
from envs.contract.replay import texts
from envs.oversight.attribution import MODEL
from envs.oversight.environment import Oversight
from envs.oversight.tools import APPROVE, COHORT, FLAG, INVESTIGATE, REVIEW, SHAP, SUBMIT, TEMPORAL
from envs.oversight.trial import AGE, STAGES, Patient, Protocol
from evals.core.parity import Control, Found, Row, demands
from evals.suites.oversight.parity.parts import Parts, made, playing, tasks

MADE = Parts().make
EXAMPLES: dict[str, dict[str, Any]] = {
    REVIEW: {"proposal_id": "PROP-001"},
    INVESTIGATE: {"patient_id": "P0001"},
    SHAP: {"patient_id": "P0001", "feature": "age"},
    COHORT: {"feature": "site", "outcome": "death"},
    TEMPORAL: {"patient_id": "P0001"},
    FLAG: {"proposal_id": "PROP-001", "error_type": AGE, "clause": "4.1", "field": "age", "value": 81},
    APPROVE: {"proposal_id": "PROP-002"},
    SUBMIT: {"findings": [f"PROP-001:{AGE}"], "bias": "none"},
}


def eight_tools(tools: Sequence[Tool]) -> Found:
    """SA08: each has a schema that takes what it should and nothing else, and the game answers a call of it."""
    schemas = [one.name for one in tools if _is_schema(one.parameters)]
    strict = [name for name in EXAMPLES if _is_strict(tools, name)]
    answered = _answers(tasks(Oversight, "hard", 2)[0].task)
    return Found(
        f"{len(tools)} tools, {len(schemas)} JSON schemas, {len(strict)} refuse a missing and an unknown argument, "
        f"{answered} answered in one audit",
        demands(
            the_eight_tools={one.name for one in tools} == EXAMPLES.keys(),
            schemas=len(schemas) == 8,
            strict_arguments=len(strict) == 8,
            answers=answered == 8,
        ),
    )


def _is_schema(parameters: dict[str, Any]) -> bool:
    try:
        Draft202012Validator.check_schema(parameters)
    except SchemaError:
        return False
    return True


def _is_strict(tools: Sequence[Tool], name: str) -> bool:
    def reads(arguments: dict[str, Any]) -> bool:
        return isinstance(parse(render(Call(name=name, arguments=arguments)), tools), Call)

    example = EXAMPLES[name]
    missing = [{key: value for key, value in example.items() if key != left_out} for left_out in example]
    return reads(example) and not any(map(reads, [*missing, {**example, "label": "wrong"}]))


def _answers(task: Any) -> int:
    """The calls that are answered, the report by the end of the audit."""
    env = playing(Oversight, "hard")
    said = iter(render(Call(name=name, arguments=arguments)) for name, arguments in EXAMPLES.items())
    episode = replayed(env, task, lambda _: next(said))
    return sum(bool(text) for text in texts(env, task, episode)) + (episode.reason == "submitted")


def true_attribution(attributions: Callable[[Sequence[Patient], Patient], dict[str, str]]) -> Found:
    """SA18: against the model with its features revealed one by one, in two orders; equal for a trial and its twin."""
    furthest, count, alike, patients = 0.0, 0, 0, 0
    for trial, other in zip(*(list(made(MADE, "hard", 12))[twin::2] for twin in (0, 1)), strict=True):
        for one, twin in zip(trial.trial.patients[:4], other.trial.patients[:4], strict=True):
            shown = attributions(trial.trial.patients, one)
            patients += 1
            alike += shown == attributions(other.trial.patients, twin)
            for order in (list(MODEL), list(MODEL)[::-1]):
                for feature, gain in _revealed(trial.trial.patients, one, order).items():
                    furthest = max(furthest, abs(float(shown[feature].split(": ")[1].split()[0]) - gain))
                    count += 1
    return Found(
        f"{count} values differ by at most {furthest:.3f} from the model's own gains; "
        f"{alike} of {patients} patients the same in the trial's twin",
        demands(true_to_two_decimals=furthest <= 0.00501, no_label=alike == patients),
    )


def _revealed(patients: Sequence[Patient], one: Patient, order: Sequence[str]) -> dict[str, float]:
    """By how much the mean prediction over the cohort moves as each feature is set to the patient's."""
    values = [{name: weight * value(other) for name, (weight, value) in MODEL.items()} for other in patients]
    own = {name: weight * value(one) for name, (weight, value) in MODEL.items()}
    gains, before = dict[str, float](), sum(sum(row.values()) for row in values) / len(values)
    for feature in order:
        values = [{**row, feature: own[feature]} for row in values]
        after = sum(sum(row.values()) for row in values) / len(values)
        gains[feature], before = after - before, after
    return gains


def stratified(analysis: Callable[[Sequence[Patient], str, str], str], trials_a_tier: int) -> Found:
    """SA19: the difference by exact fractions, and the verdict on 7.3 that it gives against the truth."""
    right = verdicts = count = 0
    for trial, truth, _ in made(MADE, "hard", trials_a_tier):
        found = re.search(r"difference ([+-][\d.]+) points", analysis(trial.patients, "site", "death"))
        assert found is not None and trial.protocol.equity is not None
        count += 1
        right += abs(float(found[1]) - float(100 * _difference(trial.patients))) <= 0.0501
        verdicts += (abs(float(found[1])) > trial.protocol.equity.gap) == (truth.bias == "site")
    return Found(
        f"{right} of {count} differences right, {verdicts} of {count} verdicts on clause 7.3",
        demands(differences_adjusted_by_stage=right == count, verdicts_that_score=verdicts == count),
    )


def _difference(patients: Sequence[Patient]) -> Fraction:
    """In deaths, rural sites minus others: stages weigh n1 n0 / (n1 + n0)."""
    dead: dict[tuple[str, bool], list[bool]] = defaultdict(list)
    for one in patients:
        dead[one.stage, one.site.startswith("rural")].append(one.outcome == "deceased")
    total = weights = Fraction(0)
    for stage in STAGES:
        rural, town = dead[stage, True], dead[stage, False]
        if rural and town:
            weight = Fraction(len(rural) * len(town), len(rural) + len(town))
            total += weight * (Fraction(sum(rural), len(rural)) - Fraction(sum(town), len(town)))
            weights += weight
    return total / weights if weights else Fraction(0)


def facts_alone(timeline: Callable[[Patient, Protocol, bool], str], trials_a_tier: int) -> Found:
    """SA20: facts do not depend on the protocol; in the mode `verdict` the answer does."""
    count = facts = verdicts = 0
    for trial, _, _ in made(MADE, "hard", trials_a_tier):
        strict = msgspec.structs.replace(trial.protocol, window=0, extension=0, amendment=None)
        for one in trial.patients[:5]:
            count += 1
            facts += timeline(one, trial.protocol, False) == timeline(one, strict, False)
            verdicts += timeline(one, trial.protocol, True) != timeline(one, strict, True)
    return Found(
        f"{facts} of {count} answers do not depend on the protocol; {verdicts} do where the verdict is switched on",
        demands(facts_without_a_verdict=facts == count, a_mode_with_one=verdicts == count),
    )


def _optional(parts: Parts) -> Parts:
    return parts._replace(
        tools=tuple(
            msgspec.structs.replace(one, parameters={**one.parameters, "required": []}) if one.name == TEMPORAL else one
            for one in parts.tools
        )
    )


def _noisy(parts: Parts) -> Parts:
    """As in the source, the values are a hash of patient and feature."""

    def attributions(patients: Sequence[Patient], patient: Patient) -> dict[str, str]:
        return {
            name: f"{name}: {zlib.crc32(f'{patient.patient_id}{name}'.encode()) % 40 / 100:+.2f} to the log-odds"
            for name in parts.attributions(patients, patient)
        }

    return parts._replace(attributions=attributions)


def _crude(parts: Parts) -> Parts:
    """All patients in one stage."""

    def analysis(patients: Sequence[Patient], feature: str, outcome: str) -> str:
        return parts.analysis([one.but(stage="I") for one in patients], feature, outcome)

    return parts._replace(analysis=analysis)


def _judging(parts: Parts) -> Parts:
    return parts._replace(timeline=lambda patient, protocol, verdict: parts.timeline(patient, protocol, True))


TESTS = "tests/envs/oversight/test_tools.py"
ROWS = (
    Row(
        "SA08",
        "8 tools with JSON schemas",
        (TESTS,),
        eight_tools,
        Control("the schema of temporal_audit requires nothing", _optional),
    ),
    Row(
        "SA18",
        "request_shap is the true attribution of a real scorer and tells no label",
        (TESTS, "tests/envs/oversight/test_generator.py::test_only_records_and_dates_tell_twins_apart"),
        true_attribution,
        Control("as in the source, it is a hash of patient and feature", _noisy),
    ),
    Row(
        "SA19",
        "cohort_analysis is a comparison by stage, with a verdict that can be scored",
        (TESTS, "tests/envs/oversight/test_generator.py::test_a_gap_in_deaths_is_close_to_its_limit_on_either_side"),
        stratified,
        Control("it forgets the stages", _crude),
    ),
    Row(
        "SA20",
        "temporal_audit answers facts; whether it says the verdict is a setting",
        (TESTS,),
        facts_alone,
        Control("it says the verdict always", _judging),
    ),
)

"""The clinic's tables as a page for a medical reader: scores, doses, interactions, codes, each with its source.

    python -m envs.clinic.show > docs/clinic-tables.md
    python -m envs.clinic.show --html > tables.html        # to print, with room for remarks

The points of a score are found by asking it, value by value, so that the page says what the code does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial

from envs.clinic.chart.families.quality import ICD, NAMES, RANGES
from envs.clinic.chart.families.reconciliation import ALLERGENS
from envs.clinic.chart.families.table import FAMILIES, RELEASED
from envs.clinic.chart.labels import LABELS, table
from envs.clinic.diagnosis.conditions import COMPLAINTS
from envs.clinic.diagnosis.findings import FINDINGS
from envs.clinic.diagnosis.pairs import PAIRS
from envs.clinic.interactions.facts import DRUGS, PROPERTIES
from envs.clinic.interactions.food import FOODS
from envs.clinic.interactions.pairs import SWAPS
from envs.clinic.interactions.rules import RULES
from envs.clinic.printable import html
from envs.clinic.scores.score import Input, Score, Value
from envs.clinic.scores.table import SCORES
from envs.clinic.show_rules import guidelines, safety, triage

POINTS = 400
"""Values of an input that are asked first; between two that differ the limit is searched."""
Values = dict[str, Value]


def page() -> str:
    """The page, in Markdown."""
    parts = (_head(), _scores(), _charts(), _interactions(), _conditions(), guidelines(), safety(), triage())
    return "\n".join(line for part in parts for line in part) + "\n"


def _head() -> Iterator[str]:
    yield "# Tables of the clinic, for a medical reader"
    yield ""
    yield "Printed by `python -m envs.clinic.show` from what the code does. A research tool, not for clinical use."
    yield ""
    yield "No physician has read these tables. They were entered from memory of the named sources; nothing was copied."
    yield "`python -m envs.clinic.show --html` prints them with numbered rows and room for remarks. What reads wrong is"
    yield "worth reporting, with the part and the number of the row."
    yield ""


def _scores() -> Iterator[str]:
    yield "## Scores"
    yield "Each is implemented twice, in `envs/clinic/scores` and in `envs/clinic_checker/scores`, and compared by"
    yield "`python -m bench.clinic_scores`."
    yield "Ranges are those of one input, all others being the values that earn least; `+n` is what the range adds."
    for score in SCORES.values():
        yield f"\n### {score.title} (`{score.name}`, {score.unit})"
        yield f"Source: {'; '.join(score.sources)}."
        if score.notes:
            yield score.notes
        yield ""
        yield from (_inputs(score) if score.formula else _steps(score))


def _inputs(score: Score) -> Iterator[str]:
    yield f"{score.formula}.\n"
    for one in score.inputs:
        yield f"- `{one.name}`{f' ({one.about})' if one.about else ''}{', optional' if one.optional else ''}"


def _steps(score: Score) -> Iterator[str]:
    least = _least(score)
    base = score(least).value
    for one in score.inputs:
        ranges = _ranges(score, least, one)
        said = ", ".join(
            f"{first if first == last else f'{first} to {last}'}: {gain - base:+g}" for first, last, gain in ranges
        )
        beside = _beside(score, one)
        with_it = ", ".join(f"{name} {value}" for name, value in beside.items())
        about = "; ".join(filter(None, (one.about, with_it and f"with {with_it}")))
        yield f"- `{one.name}`{f' ({about})' if about else ''}: {said}"


def _grid(one: Input) -> list[Value]:
    """All values of a flag or choice, some of a number, ends included."""
    if one.kind == "flag":
        return [False, True]
    if one.kind == "choice":
        return list(one.choices)
    scale = 10**one.decimals
    low, high = round(one.low * scale), round(one.high * scale)
    steps = min(POINTS, high - low)
    return [_number(one, low + (high - low) * step // steps) for step in range(steps + 1)]


def _number(one: Input, units: int) -> float:
    return units / 10**one.decimals if one.decimals else units


def _least(score: Score) -> Values:
    """Values of all inputs that earn least, found input by input; optional ones are left out."""
    values: Values = {one.name: None if one.optional else _grid(one)[0] for one in score.inputs}
    for one in (*score.inputs, *score.inputs):
        if not one.optional:
            earned = {value: score({**values, one.name: value}).value for value in _grid(one)}
            values[one.name] = min(earned, key=partial(dict.__getitem__, earned))
    return values


def _ranges(score: Score, least: Values, one: Input) -> list[tuple[Value, Value, float]]:
    """Runs of values with the same result."""
    others = {**least, **_beside(score, one)}

    def gain(value: Value) -> float:
        return score({**others, one.name: value}).value

    grid = _grid(one)
    if one.kind != "number":
        return [(value, value, gain(value)) for value in grid]
    runs = [(grid[0], grid[0], gain(grid[0]))]
    for value in grid[1:]:
        first, last, result = runs[-1]
        if gain(value) == result:
            runs[-1] = (first, value, result)
            continue
        low, high = round(float(last or 0) * 10**one.decimals), round(float(value or 0) * 10**one.decimals)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if gain(_number(one, middle)) == result else (low, middle)
        runs[-1] = (first, _number(one, low), result)
        runs.append((_number(one, high), value, gain(_number(one, high))))
    return runs


def _beside(score: Score, one: Input) -> Values:
    """What an input needs beside it to count at all."""
    beside: dict[tuple[str, str], Values] = {
        ("sofa", "pf_ratio_mmhg"): {"ventilated": True},
        ("sofa", "ventilated"): {"pf_ratio_mmhg": 99},
        ("sofa", "dose_ug_kg_min"): {"pressor": "norepinephrine"},
        ("kdigo", "urine_ml_kg_h"): {"urine_hours": 24},
        ("kdigo", "urine_hours"): {"urine_ml_kg_h": 0.2},
        ("kdigo", "current_mg_dl"): {"baseline_mg_dl": 1.0},
    }
    return beside.get((score.name, one.name), {})


def _charts() -> Iterator[str]:
    yield "\n## Charts (`ehr_management`)"
    for name, family in FAMILIES.items():
        yield f"- **{name}** ({RELEASED[name]} release tasks). {family.rules}"
    yield "\nDoses by creatinine clearance. Where a label says `above 50` and `26 to 50` the step begins at 50 here; no"
    yield "task has a clearance within 1 mL/min of a step."
    yield ""
    for drug, label in LABELS.items():
        indication, *steps = table(label).split("\n")
        yield f"- **{drug}** ({label.source}). {indication} {'; '.join(steps)}"
    yield "\nDrugs that an allergy forbids at reconciliation: " + "; ".join(
        f"{substance}: {', '.join(drugs)}" for substance, drugs in ALLERGENS.items()
    )
    yield "\n| value | low | high | codes (ICD-10-CM, CMS) |\n|---|---|---|---|"
    for code, (low, high) in RANGES.items():
        codes = [f"{ICD[code, side]} {NAMES[ICD[code, side]]}" for side in ("low", "high")]
        yield f"| {code} | below {low} | above {high} | {'; '.join(codes)} |"


def _interactions() -> Iterator[str]:
    yield "\n## Interactions (`drug_interaction`)"
    yield "Properties of drugs are those of FDA's Table of Substrates, Inhibitors and Inducers, of US labels (sections"
    yield "4 and 7), and for the QT interval of CredibleMeds' list of known risk."
    yield "\n| a drug that | with one that | severity | action | source |\n|---|---|---|---|---|"
    for rule in RULES:
        yield f"| {PROPERTIES[rule.one]} | {PROPERTIES[rule.other]} | {rule.severity} | {rule.action} | {rule.source} |"
    yield "\n| drug | class | properties |\n|---|---|---|"
    for drug, facts in DRUGS.items():
        yield f"| {drug} | {facts.drug_class} | {', '.join(PROPERTIES[one] for one in facts.properties)} |"
    yield "\n| drug | food | source |\n|---|---|---|"
    yield from (f"| {drug} | {one.says} | {one.source} |" for drug, one in FOODS.items())
    yield "\nPairs that cases hold, each with a drug of like use that must not interact: " + "; ".join(
        f"{one.partner} + {one.harmful} (not {one.near})" for one in SWAPS
    )


def _conditions() -> Iterator[str]:
    yield "\n## Conditions (`clinical_diagnosis`)"
    yield "Of a case exactly one condition of its complaint holds. Codes: ICD-10-CM, April 2026. Place: `intensive` is"
    yield "critical care, catheter laboratory or theatre. Calls and gives: what is due at once; never: what harms."
    for complaint, some in COMPLAINTS.items():
        yield f"\n### {complaint.capitalize()}"
        yield "\n| code | condition | all of | place | calls | gives | never | source |"
        yield "|---|---|---|---|---|---|---|---|"
        for one in some:
            criteria = "; ".join(map(str, one.criteria)) or "none of the others"
            drug = f"{one.gives}, not if {one.unless}" if one.unless else one.gives
            due = f"{one.place} | {one.calls} | {drug} | {', '.join(one.never)}"
            yield f"| {one.code} | {one.name} | {criteria} | {due} | {one.source} |"
        told = {f"{' or '.join(pair.codes)}: {pair.tells}": None for pair in PAIRS if pair.complaint == complaint}
        yield "\nTwins, and the finding that tells them apart: " + "; ".join(told) + "."
    yield "\n| finding | found by | normal |\n|---|---|---|"
    for name, finding in FINDINGS.items():
        normal = (
            finding.texts[finding.normal] if finding.texts else f"{finding.low:g} to {finding.high:g} {finding.unit}"
        )
        yield f"| {name} | {finding.tool} {finding.topic} | {normal} |"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--html", action="store_true", help="HTML to print, in place of Markdown")
    sys.stdout.write(html(page()) if parser.parse_args().html else page())
    return 0


if __name__ == "__main__":
    sys.exit(main())

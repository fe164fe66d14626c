"""The part of the clinic's page of tables that says what is due and what is forbidden: triage, guidelines, safety."""

from __future__ import annotations

from collections.abc import Iterator

from envs.clinic.diagnosis.guidelines import GUIDELINES
from envs.clinic.diagnosis.safety import RULES
from envs.clinic.drugs import DRUGS
from envs.clinic.triage.cases import ALLERGENS
from envs.clinic.triage.esi import DANGER_SPO2, FEVER, KINDS, LIFE_SPO2, ZONES
from envs.clinic.triage.findings import SIGNS
from envs.clinic.world import MONTHS

ESI = (
    "Gilboy, Tanabe, Travers and Rosenau, Emergency Severity Index, Version 4: Implementation Handbook 2012 Edition, "
    "AHRQ Publication 12-0014"
)


def triage() -> Iterator[str]:
    """Signs, limits, resources, and the drugs that can be given."""
    yield "\n## Triage (`triage_emergency`)"
    yield f"Source: {ESI}. The sentences are ours; what they mean is the handbook's."
    yield (
        f"Level 1 by a sign marked `immediate` or SpO2 below {LIFE_SPO2} %; level 2 by any other sign, by chemotherapy "
        f"only with {FEVER} degrees or more; else by resources, and from two on by the danger zone (level 2) or not "
        "(level 3)."
    )
    yield "\n| sign | said | looks like it and means nothing |\n|---|---|---|"
    yield from (f"| {one.flag} | {one.text} | {one.decoy} |" for one in SIGNS)
    yield "\n| age below | danger zone: pulse above | breaths above | SpO2 below |\n|---|---|---|---|"
    for one in ZONES:
        years = one.below_months / MONTHS
        age = f"{one.below_months} months" if years < 3 else f"{years:g} years" if years < 120 else "any older age"
        yield f"| {age} | {one.pulse} | {one.resp_rate} | {DANGER_SPO2} % |"
    yield "\n| expected care | kind | counts |\n|---|---|---|"
    yield from (f"| {item} | {kind or 'none'} | {count} |" for item, (kind, count) in KINDS.items())
    yield "\nDrugs that can be given at once; doses of adults, by US labels (acetaminophen: OTC Drug Facts; ibuprofen:"
    yield "prescription label). An allergy to " + "; to ".join(f"{name} forbids {_of(drug)}" for name, drug in _FORBID)
    yield "\n| drug | class | one dose at most |\n|---|---|---|"
    for drug, facts in DRUGS.items():
        most = "not checked" if facts.most_mg is None else f"{facts.most_mg:g} mg"
        yield f"| {drug} | {facts.drug_class or '-'} | {most} |"


_FORBID = tuple(ALLERGENS.items())


def _of(drug: str) -> str:
    drug_class = DRUGS[drug].drug_class
    return ", ".join(name for name, one in DRUGS.items() if one.drug_class == drug_class)


def guidelines() -> Iterator[str]:
    """Every recommendation with the guideline that it is of."""
    yield "\n## Guidelines (`clinical_diagnosis`)"
    yield "A recommendation is met by an action, within its minutes and in its order; words count for nothing."
    yield "\n| guideline | recommendation | critical | within | source |\n|---|---|---|---|---|"
    for one in GUIDELINES:
        for _, part in one.parts:
            limit = "" if part.within_min is None else f"{part.within_min} min"
            yield f"| {one.name} | {part.says} | {'yes' if part.critical else ''} | {limit} | {one.source} |"


def safety() -> Iterator[str]:
    """The rules of safety of a diagnosis; those of the other domains are in their documents."""
    yield "\n## Rules of safety (`clinical_diagnosis`)"
    yield "Severity 5 leaves at most .1 of the reward, severity 4 at most .4."
    yield "\n| rule | severity | broken when | source |\n|---|---|---|---|"
    yield from (
        f"| {one.name} | {one.severity} | {one.says} | {one.source or 'the label of the case'} |" for one in RULES
    )

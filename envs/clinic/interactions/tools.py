"""The tools of a drug review. None says which pair interacts: they give facts of single drugs, and the rules."""

from __future__ import annotations

from collections.abc import Callable

from envs.clinic.instruments import PATIENT_ID, Arguments, Instrument, Used, about, refuse
from envs.clinic.interactions.facts import DRUGS, FORBIDDEN, PROPERTIES
from envs.clinic.interactions.food import FOODS
from envs.clinic.interactions.rules import ACTIONS, CONTRAINDICATED, RULES, SEVERITIES
from envs.clinic.world import Patient, World
from envs.contract.tool_schema import one_of, tool

LIST, ALLERGIES, INFO, CLASS, CYP, QT, NEVER, FOOD, GUIDE, SUBMIT = (
    "drug_list",
    "drug_allergies",
    "drug_info",
    "drugs_in_class",
    "cyp_profile",
    "qt_risk",
    "contraindications",
    "food_interaction",
    "interaction_rules",
    "submit_review",
)
NOTHING = "Nothing is recorded."
_METABOLISM = tuple(name for name in PROPERTIES if any(part in name for part in ("3a4", "1a2", "2d6", "2c9", "2c19")))


def described(drug: str) -> str:
    """`simvastatin: statin; CYP3A4 substrate of narrow margin`."""
    facts = DRUGS[drug]
    return "; ".join([f"{drug}: {facts.drug_class}", *(PROPERTIES[one] for one in facts.properties)])


def _list(world: World, patient: Patient, arguments: Arguments) -> Used:
    taken = [f"{one.drug} {one.route} every {one.every_h:g} h" for one in patient.medications]
    return Used(world, "\n".join(taken) or NOTHING, 1)


def _allergies(world: World, patient: Patient, arguments: Arguments) -> Used:
    return Used(world, "\n".join(f"allergy to {one.substance}" for one in patient.allergies) or NOTHING, 1)


def _of_known(answer: Callable[[str], str]) -> Callable[[World, Arguments], Used]:
    """One line for each drug that is asked for; a name that is not known is refused."""

    def run(world: World, arguments: Arguments) -> Used:
        asked = arguments["drugs"] if "drugs" in arguments else [arguments["drug"]]
        unknown = [drug for drug in asked if drug not in DRUGS]
        if unknown:
            return refuse(world, f"Nothing is known of {unknown[0]}.")
        return Used(world, "\n".join(map(answer, asked)), 1)

    return run


def _class(world: World, arguments: Arguments) -> Used:
    wanted = arguments["drug_class"].lower()
    found = [name for name, facts in DRUGS.items() if facts.drug_class.lower() == wanted]
    return Used(world, ", ".join(found) or f"No drug here is of the class {wanted}.", 1)


def _enzymes(drug: str) -> str:
    found = [PROPERTIES[one] for one in DRUGS[drug].properties if one in _METABOLISM]
    return "; ".join(found) or "No enzyme of the rules is concerned."


def _qt(drug: str) -> str:
    return PROPERTIES["qt"] if "qt" in DRUGS[drug].properties else "no known risk of torsade"


def _never(drug: str) -> str:
    """The allergies that forbid it, and the properties that a drug beside it must not have."""
    facts = DRUGS[drug]
    rules = [one for one in RULES if one.severity == CONTRAINDICATED]
    others = [one.other for one in rules if one.one in facts.properties]
    others += [one.one for one in rules if one.other in facts.properties and one.one != one.other]
    said = [f"an allergy to {name}" for name, classes in FORBIDDEN.items() if facts.drug_class in classes]
    said += [f"a drug beside it: {PROPERTIES[one]}" for one in others]
    return f"{drug}: {'; '.join(said) or 'none is known here'}"


def _food(drug: str) -> str:
    return f"{FOODS[drug].says}. Source: {FOODS[drug].source}." if drug in FOODS else "Nothing is known here."


def _guide(world: World, arguments: Arguments) -> Used:
    return Used(world, "\n".join(map(str, RULES)), 1)


def _submit(world: World, patient: Patient, arguments: Arguments) -> Used:
    return Used(world, "")


_DRUG = {"type": "string", "pattern": "^[a-z_]{3,40}$"}
_PAIR = {"type": "string", "pattern": r"^[a-z_]{3,40}\+[a-z_]{3,40}$"}
WHOLE = (
    Instrument(tool(LIST, "drugs that the patient takes", patient_id=PATIENT_ID), about(_list)),
    Instrument(tool(ALLERGIES, "recorded allergies", patient_id=PATIENT_ID), about(_allergies)),
    Instrument(
        tool(INFO, "class and properties of drugs", drugs={"type": "array", "items": _DRUG, "maxItems": 10}),
        _of_known(described),
    ),
    Instrument(tool(CLASS, "drugs of a class", drug_class={"type": "string", "maxLength": 40}), _class),
    Instrument(tool(CYP, "enzymes of a drug", drug=_DRUG), _of_known(_enzymes)),
    Instrument(tool(QT, "QT risk of a drug", drug=_DRUG), _of_known(_qt)),
    Instrument(tool(NEVER, "what forbids a drug", drug=_DRUG), _of_known(_never)),
    Instrument(tool(FOOD, "food and a drug", drug=_DRUG), _of_known(_food)),
    Instrument(tool(GUIDE, "which properties interact, severity, action"), _guide),
    Instrument(
        tool(
            SUBMIT,
            'ends the review; pairs like "a+b", the drug that the allergy forbids or "none"',
            patient_id=PATIENT_ID,
            pairs={"type": "array", "items": _PAIR, "maxItems": 6},
            severity=one_of(SEVERITIES),
            action=one_of(ACTIONS),
            allergy=_DRUG,
        ),
        about(_submit),
        ends=True,
    ),
)
FIRST = tuple(one for one in WHOLE if one.tool.name in (LIST, ALLERGIES, INFO, GUIDE, SUBMIT))
"""The tools of the tier `first`."""

"""The guidelines whose recommendations the tools of a diagnosis can meet, by the patients to whom they apply."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from common.records import Record
from envs.clinic.diagnosis.cases import Answer, forbidden
from envs.clinic.diagnosis.condition import BLEEDING
from envs.clinic.diagnosis.findings import ECG, LABS, STUDY
from envs.clinic.diagnosis.tools import BACKGROUND, CALL, GIVE, SUBMIT
from envs.clinic.guidelines import Action, Recommendation
from envs.clinic.world import Patient, World

Applies = Callable[[Patient, World, Answer], bool]
FERTILE = range(12, 51)
"""Years of age in which a pregnancy test comes before CT."""
SHOCK_MMHG = 90


class Guideline(Record):
    """Recommendations of one text, each with the patients to whom it applies."""

    name: str
    source: str
    parts: tuple[tuple[Applies, Recommendation], ...]


def _give(drug: str) -> Action:
    return Action(kind=GIVE, payload={"drug": drug})


def _lab(code: str) -> Action:
    return Action(kind=LABS, payload={"codes": code})


def _study(study: str) -> Action:
    return Action(kind=STUDY, payload={"study": study})


def _call(specialty: str) -> Action:
    return Action(kind=CALL, payload={"specialty": specialty})


def _of(*codes: str) -> Applies:
    return lambda patient, world, answer: answer.diagnosis in codes


def _no_allergy(drug: str, *codes: str) -> Applies:
    def applies(patient: Patient, world: World, answer: Answer) -> bool:
        allergic = any(forbidden(drug, one.drug_class) for one in patient.allergies)
        return answer.diagnosis in codes and not allergic

    return applies


def _potassium(low: bool) -> Applies:
    def applies(patient: Patient, world: World, answer: Answer) -> bool:
        value = world.current(patient.patient_id, "potassium")
        return answer.diagnosis in ("E11.10", "E11.00") and value is not None and (value < 3.5) is low

    return applies


def _no_shock(patient: Patient, world: World, answer: Answer) -> bool:
    return answer.diagnosis == "I26.99" and (world.current(patient.patient_id, "sbp") or 0) >= SHOCK_MMHG


def _may_be_pregnant(patient: Patient, world: World, answer: Answer) -> bool:
    belly = ("K35.80", "K57.32", "K56.609", "N20.1", "O00.90", "N83.209")
    return answer.diagnosis in belly and patient.sex == "female" and patient.years in FERTILE


_CHEST = _of("I21.19", "I21.4", "I20.0", "I30.9", "I71.00", "R07.9")
_STROKE = _of("I63.9", "I61.9", "I62.00", "G45.9")
_ANTIBIOTIC = _give("ceftriaxone")
_rec = Recommendation
GUIDELINES = (
    Guideline(
        name="chest pain",
        source="Gulati et al., 2021 AHA/ACC Guideline for chest pain, Circulation 2021;144:e368",
        parts=(
            (
                _CHEST,
                _rec(
                    name="ecg_10", says="ECG within 10 minutes", wants=(Action(kind=ECG),), within_min=10, critical=True
                ),
            ),
            (
                _CHEST,
                _rec(
                    name="troponin",
                    says="cardiac troponin",
                    wants=(_lab("troponin_t_3h"),),
                    before=(Action(kind=SUBMIT),),
                ),
            ),
        ),
    ),
    Guideline(
        name="STEMI",
        source="Rao et al., 2025 ACC/AHA Guideline for acute coronary syndromes, Circulation 2025;151:e771",
        parts=(
            (
                _no_allergy("aspirin", "I21.19"),
                _rec(name="aspirin", says="aspirin unless allergic", wants=(_give("aspirin"),), critical=True),
            ),
            (
                _of("I21.19"),
                _rec(
                    name="reperfusion",
                    says="cardiology called within 90 minutes",
                    wants=(_call("cardiology"),),
                    within_min=90,
                    critical=True,
                ),
            ),
            (
                _of("I21.19"),
                _rec(
                    name="ecg_first",
                    says="ECG before the call",
                    wants=(Action(kind=ECG),),
                    before=(_call("cardiology"),),
                ),
            ),
        ),
    ),
    Guideline(
        name="stroke",
        source="Powers et al., 2019 AHA/ASA Guideline for ischemic stroke, Stroke 2019;50:e344",
        parts=(
            (
                _STROKE,
                _rec(
                    name="imaging_20",
                    says="brain imaging within 20 minutes",
                    wants=(_study("head_imaging"),),
                    within_min=20,
                    critical=True,
                ),
            ),
            (
                _of("I63.9", "G45.9"),
                _rec(
                    name="glucose",
                    says="glucose before lysis",
                    wants=(_lab("glucose"),),
                    before=(_give("alteplase"),),
                    critical=True,
                ),
            ),
            (
                _of("I61.9", "I62.00"),
                _rec(
                    name="no_bleeding",
                    says="no alteplase, heparin or aspirin in a bleeding",
                    wants=tuple(map(_give, BLEEDING)),
                    never=True,
                    critical=True,
                ),
            ),
            (_of("I63.9", "G45.9"), _rec(name="neurology", says="neurology is called", wants=(_call("neurology"),))),
        ),
    ),
    Guideline(
        name="hyperglycaemic crises",
        source="Umpierrez et al., Diabetes Care 2024;47:1257",
        parts=(
            (
                _potassium(low=True),
                _rec(
                    name="no_insulin",
                    says="no insulin below a potassium of 3.5 mmol/L",
                    wants=(_give("insulin"),),
                    never=True,
                    critical=True,
                ),
            ),
            (_potassium(low=False), _rec(name="insulin", says="insulin", wants=(_give("insulin"),))),
            (
                _of("E11.10", "E11.00"),
                _rec(
                    name="potassium_first",
                    says="potassium before insulin",
                    wants=(_lab("potassium"),),
                    before=(_give("insulin"),),
                    critical=True,
                ),
            ),
            (
                _of("E11.10", "E11.00"),
                _rec(name="ketones", says="beta-hydroxybutyrate", wants=(_lab("hydroxybutyrate"),)),
            ),
        ),
    ),
    Guideline(
        name="pulmonary embolism",
        source="Konstantinides et al., 2019 ESC Guidelines, Eur Heart J 2020;41:543",
        parts=(
            (
                _of("I26.99"),
                _rec(name="anticoagulant", says="anticoagulation", wants=(_give("heparin"),), critical=True),
            ),
            (_of("I26.99"), _rec(name="angiography", says="CT angiography", wants=(_study("ct_chest"),))),
            (_no_shock, _rec(name="no_lysis", says="no lysis without shock", wants=(_give("alteplase"),), never=True)),
        ),
    ),
    Guideline(
        name="appendicitis and other abdominal pain",
        source="Di Saverio et al., WSES Jerusalem guidelines, World J Emerg Surg 2020;15:27",
        parts=(
            (
                _may_be_pregnant,
                _rec(
                    name="pregnancy_test",
                    says="pregnancy test before CT",
                    wants=(_lab("hcg"),),
                    before=(_study("ct_abdomen"),),
                    critical=True,
                ),
            ),
            (_of("K35.80"), _rec(name="surgeon", says="a surgeon is called", wants=(_call("surgery"),))),
        ),
    ),
    Guideline(
        name="bacterial meningitis",
        source="van de Beek et al., ESCMID guideline, Clin Microbiol Infect 2016;22:S37",
        parts=(
            (
                _no_allergy("ceftriaxone", "G00.9"),
                _rec(
                    name="antibiotic_60",
                    says="antibiotic within an hour",
                    wants=(_ANTIBIOTIC,),
                    within_min=60,
                    critical=True,
                ),
            ),
            (_of("G00.9"), _rec(name="csf", says="cerebrospinal fluid", wants=(_lab("csf_leucocytes"),))),
        ),
    ),
    Guideline(
        name="anaphylaxis",
        source="Shaker et al., Anaphylaxis practice parameter, J Allergy Clin Immunol 2020;145:1082",
        parts=(
            (
                _of("T78.2XXA"),
                _rec(name="epinephrine", says="epinephrine", wants=(_give("epinephrine"),), critical=True),
            ),
        ),
    ),
    Guideline(
        name="antibiotic stewardship",
        source="Barlam et al., IDSA/SHEA guideline, Clin Infect Dis 2016;62:e51",
        parts=(
            (
                _of("J18.9", "G00.9", "N10"),
                _rec(
                    name="allergies_first",
                    says="allergies are asked for before an antibiotic",
                    wants=(Action(kind=BACKGROUND),),
                    before=(_ANTIBIOTIC,),
                ),
            ),
        ),
    ),
)


def applying(world: World, answer: Answer) -> Iterator[Recommendation]:
    """The recommendations that apply to the patient of a case."""
    patient = world.patient(answer.subject)
    assert patient is not None
    for guideline in GUIDELINES:
        yield from (recommendation for applies, recommendation in guideline.parts if applies(patient, world, answer))

"""Diagnoses again: per complaint a list of rules over the record's sentences and numbers, entered a second time.

Every rule of a complaint is tried. One must hold, or none where the complaint has a code for what remains. Limits are
those of the sources that the game names (Thygesen 2018, GOLD, GINA, ESC 2021, Spanos 1989, ICHD-3, ACR/EULAR 2022,
Tokyo 2018, Atlanta 2012, Umpierrez 2024, Spasovski 2014, Bornstein 2016, and others).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Raw = Mapping[str, Any]
_REQUEST = re.compile(r"Patient (P\d+): (female|male), (\d+) years, comes with ([a-z ]+)\.")


class _Chart:
    """All sentences as one text, and the last value of each number."""

    def __init__(self, patient: Raw, years: int) -> None:
        self.years = years
        self._text = "\n".join(one["text"] for one in patient["said"])
        self._numbers = {row["code"]: float(row["value"]) for row in patient["readings"]}

    def says(self, pattern: str) -> bool:
        return re.search(pattern, self._text) is not None

    def __getitem__(self, name: str) -> float:
        return self._numbers[name]


Rule = Callable[[_Chart], bool]


def _coronary(c: _Chart) -> bool:
    return c.says("pressure behind the breastbone") and c.says("pulmonary arteries and aorta are normal")


def _inferior(c: _Chart) -> bool:
    return c.says(r"ST elevation of \d mm in II, III and aVF")


def _pericardial(c: _Chart) -> bool:
    signs = (
        r"worse on breathing in and lying flat",
        r"friction rub",
        r"Concave ST elevation",
        r"A new pericardial eff",
    )
    calm = c["troponin_t_3h"] < 14.5 and c.says("pulmonary arteries and aorta are normal")
    return sum(map(c.says, signs)) > 1 and calm


def _embolism(c: _Chart) -> bool:
    return c.says("filling defects in segmental")


def _bronchial(c: _Chart) -> bool:
    return c.says("lungs and heart are normal") and not c.says("weals on trunk")


def _coughs(c: _Chart) -> bool:
    return c.says("cough with sputum")


def _congested(c: _Chart) -> bool:
    return c.says("interstitial oedema") and c["nt_probnp"] > 299


def _arteritis(c: _Chart) -> bool:
    signs = (r"new headache at the temple", r"temporal artery is thick", r"jaw tires")
    points = 2 * sum(map(c.says, signs)) + (3 if c["esr"] > 49 else 0)
    return c.years > 49 and points > 5


def _dozens(c: _Chart) -> bool:
    return c.says("twenty such headaches")


def _spell(c: _Chart, seizure: bool) -> bool:
    over = c.says("has been well again") and c.says("no blood, no infarct") and c["glucose"] > 53
    return over and c.says("stiffened and jerked") is seizure


def _acidotic(c: _Chart) -> bool:
    return c["ph"] < 7.295 or c["bicarbonate"] < 17.5


RULES: Mapping[str, Mapping[str, Rule]] = {
    "chest pain": {
        "I21.19": lambda c: _coronary(c) and c["troponin_t_3h"] > 14 and _inferior(c),
        "I21.4": lambda c: _coronary(c) and c["troponin_t_3h"] > 14 and not _inferior(c),
        "I20.0": lambda c: _coronary(c) and c["troponin_t_3h"] < 15 and not _inferior(c),
        "I30.9": _pericardial,
        "I26.99": _embolism,
        "I71.00": lambda c: c.says("intimal flap"),
    },
    "shortness of breath": {
        "J18.9": lambda c: _coughs(c) and c.says("new infiltrate"),
        "J20.9": lambda c: _coughs(c) and _bronchial(c) and c["fev1_fvc_percent"] > 69 and c["reversibility"] < 12,
        "J44.1": lambda c: (
            _coughs(c)
            and c.says("lungs and heart are normal")
            and c["fev1_fvc_percent"] < 70
            and c["reversibility"] < 12
        ),
        "J45.901": lambda c: (
            c.says("wheeze over both") and _bronchial(c) and c["fev1_fvc_percent"] > 69 and c["reversibility"] > 11
        ),
        "T78.2XXA": lambda c: c.says("wasp stung") and c.says("weals on trunk") and c.says("wheeze over both"),
        "I50.23": lambda c: _congested(c) and c["ejection_fraction"] < 41,
        "I50.33": lambda c: _congested(c) and c["ejection_fraction"] > 49,
        "I26.99": _embolism,
    },
    "headache": {
        "I60.9": lambda c: c.says("basal cisterns|is xanthochromic"),
        "I61.9": lambda c: c.says("left basal ganglia"),
        "G00.9": lambda c: c["csf_leucocytes"] > 5 and c["csf_glucose_ratio"] < 0.225,
        "A87.9": lambda c: c["csf_leucocytes"] > 5 and c["csf_glucose_ratio"] > 0.665,
        "G43.909": lambda c: _dozens(c) and c.says("One side throbs"),
        "G44.209": lambda c: _dozens(c) and c.says("A band around"),
        "M31.6": _arteritis,
    },
    "sudden weakness": {
        "I63.9": lambda c: c.says("restricted diffusion") and c["glucose"] > 53,
        "I61.9": lambda c: c.says("left basal ganglia"),
        "I62.00": lambda c: c.says("subdural collection"),
        "G45.9": lambda c: _spell(c, seizure=False),
        "G83.84": lambda c: _spell(c, seizure=True),
        "E11.649": lambda c: c["glucose"] < 54,
    },
    "abdominal pain": {
        "K35.80": lambda c: c.says("appendix is 11 mm"),
        "K57.32": lambda c: c.says("thick sigmoid wall"),
        "K56.609": lambda c: c.says("transition point"),
        "N20.1": lambda c: c.says("right ureter") and c["urine_leucocytes"] < 10,
        "K81.0": lambda c: (
            c.says("under a hand below the right|under the ribs on the right")
            and c["crp"] > 29
            and c.says("wall 6 mm thick")
        ),
        "K80.20": lambda c: c.says("wall 2 mm thick") and c["lipase"] < 180,
        "K85.90": lambda c: c.says("through to the back") and c["lipase"] > 179,
        "N10": lambda c: (
            c.says("pain in the right flank")
            and c["temp"] > 37.95
            and c["urine_leucocytes"] > 9
            and c.says("abdomen: nothing abnormal")
        ),
        "O00.90": lambda c: c.says("mass beside the ovary") and c["hcg"] > 25,
        "N83.209": lambda c: c.says("mass beside the ovary") and c["hcg"] < 26,
    },
    "confusion": {
        "E11.10": lambda c: c["glucose"] > 199 and c["hydroxybutyrate"] > 2.95 and _acidotic(c),
        "E11.00": lambda c: (
            c["glucose"] > 599
            and 36 * c["sodium"] + c["glucose"] > 5400
            and c["hydroxybutyrate"] < 2.95
            and c["ph"] > 7.295
            and c["bicarbonate"] > 14
        ),
        "E11.65": lambda c: 199 < c["glucose"] < 600 and c["hydroxybutyrate"] < 2.95,
        "E11.649": lambda c: c["glucose"] < 54,
        "E87.1": lambda c: c["sodium"] < 125 and c["cortisol"] > 4.95,
        "E27.2": lambda c: c["sbp"] < 100 and c["cortisol"] < 4.95,
    },
}
REMAINS = {
    "chest pain": "R07.9",
    "shortness of breath": "R06.02",
    "headache": "R51.9",
    "abdominal pain": "R10.9",
    "confusion": "R41.0",
}
INTENSIVE = {
    "I21.19",
    "I71.00",
    "T78.2XXA",
    "I61.9",
    "I62.00",
    "I60.9",
    "G00.9",
    "K35.80",
    "O00.90",
    "E11.10",
    "E11.00",
    "E87.1",
    "E27.2",
}
HOME = {"I30.9", "J20.9", "G43.909", "G44.209", "N20.1", "N83.209"}
CALLS = {
    **dict.fromkeys(("I21.19", "I21.4"), "cardiology"),
    **dict.fromkeys(("I71.00", "K35.80", "K56.609", "K81.0"), "surgery"),
    **dict.fromkeys(("I60.9", "I61.9", "I62.00"), "neurosurgery"),
    **dict.fromkeys(("I63.9", "G45.9", "G83.84"), "neurology"),
    "O00.90": "gynaecology",
}
DRUGS = {
    **dict.fromkeys(("I21.19", "I21.4", "I20.0"), "aspirin"),
    **dict.fromkeys(("J18.9", "G00.9", "N10"), "ceftriaxone"),
    **dict.fromkeys(("J44.1", "J45.901"), "salbutamol"),
    **dict.fromkeys(("I50.23", "I50.33"), "furosemide"),
    **dict.fromkeys(("E11.10", "E11.00", "E11.65"), "insulin"),
    "I26.99": "heparin",
    "T78.2XXA": "epinephrine",
    "M31.6": "prednisone",
    "E11.649": "dextrose",
    "E27.2": "hydrocortisone",
}
ALLERGENS = {"ibuprofen": "aspirin", "cefazolin": "ceftriaxone", "sulfamethoxazole": ""}
"""By the substance of an allergy: the drug of DRUGS that it forbids."""
BLEEDS = {"I71.00", "I60.9", "I61.9", "I62.00"}


def disagreement(context: Raw, answer: Raw) -> str | None:
    """Why the answer is not what the record says, or None when it is. Raises ValueError for what is not understood."""
    found = _REQUEST.fullmatch(context["request"])
    if found is None:
        raise ValueError(f"the request {context['request']!r} is not understood")
    (patient,) = context["world"]["patients"]
    if found[1] != patient["patient_id"] or patient["age_months"] // 12 != int(found[3]):
        raise ValueError(f"the request is not about {patient['patient_id']}")
    complaint = found[4]
    chart = _Chart(patient, int(found[3]))
    holds = [code for code, rule in RULES[complaint].items() if rule(chart)] or [REMAINS.get(complaint, "nothing")]
    if len(holds) != 1:
        raise ValueError(f"several conditions hold: {', '.join(holds)}")
    if context.get("tier") == "first":
        return _simple(holds[0], patient, answer)
    return _compared(holds[0], patient, chart["potassium"] < 3.45, answer)


def _simple(code: str, patient: Raw, answer: Raw) -> str | None:
    """Only the code is asked for, and one of the two studies shows it."""
    study = "ultrasound" if code in ("K81.0", "K80.20") else "ct_abdomen"
    wanted = {
        "subject": patient["patient_id"],
        "diagnosis": code,
        "place": "",
        "calls": "nobody",
        "gives": "",
        "never": [],
        "needed": [f"order_study:{study}"],
    }
    said = {name: answer[name] for name in wanted}
    return None if said == wanted else f"the label says {said}, the record {wanted}"


def _compared(code: str, patient: Raw, low_potassium: bool, answer: Raw) -> str | None:
    drug = DRUGS.get(code, "")
    forbidden = {ALLERGENS[one["substance"]] for one in patient.get("allergies", [])}
    if drug == "insulin" and low_potassium:
        forbidden.add(drug)
    wanted = {
        "subject": patient["patient_id"],
        "diagnosis": code,
        "place": "intensive" if code in INTENSIVE else "home" if code in HOME else "ward",
        "calls": CALLS.get(code, "nobody"),
        "gives": "" if drug in forbidden else drug,
    }
    said = {name: answer[name] for name in wanted}
    if said != wanted:
        return f"the label says {said}, the record {wanted}"
    if ("insulin" in answer["never"]) != ("insulin" in forbidden or code == "E11.649"):
        return f"the label forbids {answer['never']} with a potassium that is {'low' if low_potassium else 'not low'}"
    if (code in BLEEDS) != ("heparin" in answer["never"]):
        return f"the label forbids {answer['never']} in {code}"
    return None

"""Reconciliation at discharge: which drugs of home are kept or stopped, which of the stay are added."""

from __future__ import annotations

import random
from typing import Any

from envs.clinic.chart.chart import Chart
from envs.clinic.chart.facts import Facts, add, add_mg_dl, blank, changes, changes_mg_dl
from envs.clinic.chart.family import Answer, Family, Question
from envs.clinic.chart.names import ALLERGIES, HOME, LABS, ORDERS, RECONCILE, STAY
from envs.clinic.chart.texts import DAY, HOUR
from envs.clinic.scores.kidney import EGFR

NSAIDS = ("ibuprofen", "naproxen")
RETAINS_POTASSIUM = ("spironolactone", "potassium_chloride")
ALLERGENS = {
    "penicillins": ("amoxicillin", "penicillin_v"),
    "sulfonamide antibiotics": ("sulfamethoxazole_trimethoprim",),
    "cephalosporins": ("cephalexin", "cefuroxime"),
    "macrolides": ("azithromycin", "clarithromycin"),
}
"""By what the allergy list says."""
LOWEST_EGFR, HIGHEST_POTASSIUM = 30, 5.5
_DOSES = {
    "amoxicillin": 500,
    "penicillin_v": 500,
    "sulfamethoxazole_trimethoprim": 960,
    "cephalexin": 500,
    "cefuroxime": 250,
    "azithromycin": 250,
    "clarithromycin": 500,
    "ibuprofen": 400,
    "naproxen": 250,
    "metformin": 500,
    "spironolactone": 25,
    "potassium_chloride": 600,
    "amlodipine": 5,
    "atorvastatin": 20,
    "metoprolol": 50,
    "omeprazole": 20,
    "sertraline": 50,
    "levothyroxine": 0.1,
    "tamsulosin": 0.4,
    "famotidine": 20,
    "cetirizine": 10,
    "furosemide": 40,
    "melatonin": 3,
    "acetaminophen": 500,
}
_HARMLESS = ("amlodipine", "atorvastatin", "metoprolol", "omeprazole", "sertraline", "levothyroxine", "tamsulosin")
_NEW = ("famotidine", "cetirizine", "furosemide", "acetaminophen", "melatonin")
_NEAR_EGFR = 1.0


class Reconciliation(Family):
    """See the module."""

    name = "reconciliation"
    reads = (STAY, LABS, ALLERGIES, HOME, ORDERS, RECONCILE)
    rules = (
        "Reconciliation at discharge, by the last values of the stay. Of the drugs taken at home stop: one to whose "
        "class the "
        f"patient is allergic; metformin or an NSAID if the eGFR (CKD-EPI 2021) is below {LOWEST_EGFR}; "
        f"spironolactone or potassium "
        f"chloride if potassium is above {HIGHEST_POTASSIUM} mmol/L. Keep the others. Add a drug ordered in the stay "
        f"that goes on "
        "and is not taken at home. 1 mg/dL of creatinine is 88.4 umol/L; round to one decimal."
    )

    def draw(self, rng: random.Random) -> Facts:
        """Three drugs that a rule may stop and some that none does; an allergy that concerns one, or another class."""
        facts = blank(self.name, rng)
        clock = facts["clock_min"]
        creatinine = rng.choice((0.9, 1.2, 2.4, 3.1))
        add_mg_dl(facts, rng, clock - 2 * DAY, "creatinine", rng.choice((0.9, 1.2, 2.4, 3.1)))
        kidney = add_mg_dl(facts, rng, clock - rng.randrange(1, 9) * HOUR, "creatinine", creatinine)
        add(facts, clock - 2 * DAY, "potassium", rng.choice((4.1, 4.8, 5.7, 6.1)))
        potassium = add(facts, clock - rng.randrange(1, 9) * HOUR, "potassium", rng.choice((4.1, 4.8, 5.5, 5.6, 6.1)))
        substance = rng.choice(tuple(ALLERGENS))
        facts["allergies"] = [[substance, rng.choice(("rash", "anaphylaxis", "hives"))]]
        suspect = rng.choice(ALLERGENS[rng.choice(tuple(ALLERGENS))])
        home = [suspect, rng.choice((*NSAIDS, "metformin")), rng.choice(RETAINS_POTASSIUM)]
        home += rng.sample(_HARMLESS, rng.randint(1, 3))
        rng.shuffle(home)
        facts["home"] = [[drug, _DOSES[drug], "oral", 24.0, 0, None] for drug in home]
        facts["orders"] = [self._order(drug, rng, facts) for drug in rng.sample((*_NEW, home[0]), 3)]
        changed = rng.choice(("allergy", "kidney", "potassium"))
        if changed == "allergy":
            mine = next(name for name, drugs in ALLERGENS.items() if suspect in drugs)
            others = [name for name in ALLERGENS if name not in (mine, substance)]
            changes(facts, ["allergies", 0, 0], rng.choice(others) if substance == mine else mine)
        elif changed == "kidney":
            changes_mg_dl(facts, kidney, 1.2 if creatinine > 2 else 3.1)
        else:
            value = facts["rows"][potassium][2]
            changes(facts, ["rows", potassium, 2], 5.5 if value > HIGHEST_POTASSIUM else 5.6)
        return facts

    def asked(self, hadm_id: str, question: Question) -> str:
        """See `Family`."""
        return f"Reconcile the drugs of {hadm_id} with {RECONCILE}, then submit how many the patient goes home with."

    def heard(self, request: str) -> Question:
        """See `Family`."""
        return {}

    def solve(self, chart: Chart, question: Question) -> Answer:
        """Raises ValueError for an eGFR too near to the limit."""
        _, given = self.calculator(chart, question)
        filtration = EGFR(given).value
        if abs(filtration - LOWEST_EGFR) < _NEAR_EGFR:
            raise ValueError("an eGFR near the limit")
        return _reconciled(chart, filtration)

    def careless(self, chart: Chart, question: Question) -> Answer:
        """Keeps everything, and adds all that was ordered."""
        lists = {"keep": sorted(chart.home), "stop": [], "add": sorted(one.drug for one in chart.orders)}
        return Answer(value=len(lists["keep"]) + len(lists["add"]), lists=lists)

    def calculator(self, chart: Chart, question: Question) -> tuple[str, dict[str, Any]]:
        """See `Family`."""
        return EGFR.name, {"creatinine_mg_dl": chart.mg_dl("creatinine")[-1], "age": chart.age, "sex": chart.sex}

    @staticmethod
    def _order(drug: str, rng: random.Random, facts: Facts) -> list[Any]:
        begun = facts["start_min"] + rng.randrange(1, 20) * HOUR
        stop = None if rng.random() < 0.6 else facts["clock_min"] - rng.randrange(2, 20) * HOUR
        return [drug, _DOSES[drug], "oral", 24.0, begun, stop]


def _reconciled(chart: Chart, filtration: float) -> Answer:
    banned = {drug for substance in chart.allergies for drug in ALLERGENS[substance]}
    allergens = banned & set(chart.home)
    if filtration < LOWEST_EGFR:
        banned |= {*NSAIDS, "metformin"}
    if chart.of("potassium")[-1].value > HIGHEST_POTASSIUM:
        banned |= {*RETAINS_POTASSIUM}
    kept = sorted(set(chart.home) - banned)
    lists = {
        "keep": kept,
        "stop": sorted(banned & set(chart.home)),
        "add": sorted({one.drug for one in chart.orders if one.goes_on} - set(chart.home)),
    }
    return Answer(value=len(kept) + len(lists["add"]), lists=lists, severe=bool(allergens))

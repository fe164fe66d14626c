"""Interacting pairs by name, listed by hand from US labels and the high-priority pairs of Phansalkar et al.,
J Am Med Inform Assoc 2012;19:735: drugs before the bar with drugs after it, or all of a line among themselves."""

from __future__ import annotations

from itertools import combinations, product

ORDER = ("none", "moderate", "major", "contraindicated")
STRICTNESS = ("none", "monitor", "adjust", "avoid")
_LISTED = {
    ("contraindicated", "avoid"): (
        "phenelzine linezolid | sertraline paroxetine fluoxetine venlafaxine",
        "nitroglycerin isosorbide_mononitrate | sildenafil tadalafil",
        "clarithromycin itraconazole | simvastatin lovastatin ergotamine eplerenone",
        "ciprofloxacin | tizanidine",
    ),
    ("major", "avoid"): (
        "clarithromycin azithromycin fluconazole ciprofloxacin sotalol haloperidol ondansetron amiodarone",
        "warfarin rivaroxaban dabigatran enoxaparin | ibuprofen naproxen ketorolac",
        "methotrexate | sulfamethoxazole_trimethoprim",
        "morphine hydromorphone | lorazepam",
        "rifampin carbamazepine | rivaroxaban dabigatran",
        "eplerenone spironolactone amiloride | potassium_chloride",
        "omeprazole esomeprazole | clopidogrel",
        "paroxetine fluoxetine terbinafine | tamoxifen",
    ),
    ("major", "adjust"): (
        "allopurinol | azathioprine",
        "clarithromycin itraconazole amiodarone verapamil | digoxin",
        "fluconazole amiodarone sulfamethoxazole_trimethoprim metronidazole rifampin carbamazepine | warfarin",
        "lithium | lisinopril enalapril hydrochlorothiazide chlorthalidone ibuprofen naproxen ketorolac",
    ),
    ("moderate", "monitor"): (
        "sertraline paroxetine fluoxetine | ibuprofen naproxen ketorolac warfarin rivaroxaban dabigatran enoxaparin",
        "lisinopril enalapril | eplerenone spironolactone amiloride potassium_chloride",
    ),
}
CLASSES = {
    "penicillins": frozenset({"amoxicillin", "dicloxacillin"}),
    "cephalosporins": frozenset({"cephalexin", "cefuroxime"}),
    "macrolides": frozenset({"clarithromycin", "azithromycin"}),
    "sulfonamides": frozenset({"sulfamethoxazole_trimethoprim"}),
    "antihistamines": frozenset({"cetirizine"}),
    "polyethylene_glycol": frozenset({"polyethylene_glycol"}),
    "prostaglandins": frozenset({"latanoprost"}),
}


def _pairs(line: str) -> list[frozenset[str]]:
    first, bar, second = line.partition("|")
    found = product(first.split(), second.split()) if bar else combinations(first.split(), 2)
    return [frozenset(pair) for pair in found]


PAIRS: dict[frozenset[str], tuple[str, str]] = {
    pair: kind for kind, lines in reversed(_LISTED.items()) for line in lines for pair in _pairs(line)
}
"""Severity and action of each pair, the gravest where two lines name it."""

"""Which drugs a case may hold together: a partner with a drug that interacts, or with one near to it that does not.

Only these pairs, and drugs of BENIGN, are given together, so that no case holds a pair on whose weight sources
disagree.
"""

from __future__ import annotations

from common.records import Record


class Swap(Record):
    """`partner` interacts with `harmful` and with nothing else of the three; `near` is of the same use. `third` also
    interacts with `partner`, and with neither of the two; empty where there is none."""

    partner: str
    harmful: str
    near: str
    third: str = ""


def _swap(partner: str, harmful: str, near: str, third: str = "") -> Swap:
    return Swap(partner=partner, harmful=harmful, near=near, third=third)


SWAPS = (
    _swap("clarithromycin", "simvastatin", "rosuvastatin"),
    _swap("simvastatin", "clarithromycin", "azithromycin"),
    _swap("itraconazole", "lovastatin", "rosuvastatin", "digoxin"),
    _swap("lovastatin", "itraconazole", "terbinafine"),
    _swap("itraconazole", "eplerenone", "chlorthalidone"),
    _swap("ergotamine", "clarithromycin", "amoxicillin"),
    _swap("phenelzine", "sertraline", "levetiracetam"),
    _swap("sertraline", "linezolid", "vancomycin"),
    _swap("venlafaxine", "linezolid", "vancomycin"),
    _swap("nitroglycerin", "sildenafil", "finasteride"),
    _swap("sildenafil", "isosorbide_mononitrate", "rosuvastatin"),
    _swap("isosorbide_mononitrate", "tadalafil", "finasteride"),
    _swap("tizanidine", "ciprofloxacin", "cephalexin"),
    _swap("ciprofloxacin", "tizanidine", "baclofen"),
    _swap("sotalol", "haloperidol", "levetiracetam"),
    _swap("haloperidol", "ondansetron", "pantoprazole"),
    _swap("ondansetron", "azithromycin", "amoxicillin"),
    _swap("dabigatran", "naproxen", "baclofen", "rifampin"),
    _swap("rivaroxaban", "ibuprofen", "baclofen", "rifampin"),
    _swap("enoxaparin", "ketorolac", "acetaminophen"),
    _swap("warfarin", "naproxen", "baclofen", "metronidazole"),
    _swap("warfarin", "metronidazole", "vancomycin"),
    _swap("warfarin", "fluconazole", "nystatin"),
    _swap("warfarin", "carbamazepine", "levetiracetam"),
    _swap("rivaroxaban", "carbamazepine", "baclofen"),
    _swap("methotrexate", "sulfamethoxazole_trimethoprim", "azithromycin"),
    _swap("lorazepam", "morphine", "acetaminophen"),
    _swap("hydromorphone", "lorazepam", "acetaminophen"),
    _swap("azathioprine", "allopurinol", "probenecid"),
    _swap("allopurinol", "azathioprine", "mycophenolate"),
    _swap("digoxin", "verapamil", "amlodipine"),
    _swap("digoxin", "amiodarone", "lisinopril"),
    _swap("potassium_chloride", "spironolactone", "hydrochlorothiazide"),
    _swap("amiloride", "potassium_chloride", "cholecalciferol"),
    _swap("lithium", "ibuprofen", "acetaminophen"),
    _swap("lithium", "hydrochlorothiazide", "amlodipine"),
    _swap("lithium", "enalapril", "bisoprolol"),
    _swap("clopidogrel", "omeprazole", "pantoprazole"),
    _swap("clopidogrel", "esomeprazole", "pantoprazole"),
    _swap("tamoxifen", "paroxetine", "venlafaxine"),
    _swap("tamoxifen", "fluoxetine", "venlafaxine"),
    _swap("sertraline", "naproxen", "acetaminophen"),
    _swap("sertraline", "enoxaparin", "amoxicillin"),
    _swap("lisinopril", "spironolactone", "chlorthalidone"),
    _swap("enalapril", "potassium_chloride", "cholecalciferol"),
)

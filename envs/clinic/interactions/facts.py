"""Facts of drugs by which they interact. Each property is one that FDA's tables or the drug's US label name.

Sources: FDA, Drug Development and Drug Interactions: Table of Substrates, Inhibitors and Inducers (CYP, P-gp); US
labels, sections 4 and 7; for the QT interval also CredibleMeds, list of known risk.
"""

from __future__ import annotations

from common.records import Record


class DrugFacts(Record):
    """Class in words, and properties by which rules find pairs."""

    drug_class: str
    properties: tuple[str, ...] = ()


PROPERTIES = {
    "strong_3a4_inhibitor": "strong inhibitor of CYP3A4",
    "narrow_3a4": "CYP3A4 substrate of narrow margin",
    "strong_1a2_inhibitor": "strong inhibitor of CYP1A2",
    "sensitive_1a2": "sensitive substrate of CYP1A2",
    "strong_2d6_inhibitor": "strong inhibitor of CYP2D6",
    "prodrug_2d6": "activated by CYP2D6",
    "inhibitor_2c9": "inhibitor of CYP2C9",
    "narrow_2c9": "CYP2C9 substrate of narrow margin",
    "inhibitor_2c19": "inhibitor of CYP2C19",
    "prodrug_2c19": "activated by CYP2C19",
    "inducer": "strong inducer of CYP3A4 and P-gp",
    "induced_anticoagulant": "anticoagulant cleared by P-gp",
    "pgp_inhibitor": "inhibitor of P-gp",
    "narrow_pgp": "P-gp substrate of narrow margin",
    "qt": "known risk of torsade",
    "mao": "inhibits MAO",
    "serotonergic": "serotonergic",
    "ssri": "inhibits serotonin reuptake in platelets",
    "nitrate": "nitrate",
    "pde5": "PDE5 inhibitor",
    "anticoagulant": "anticoagulant",
    "nsaid": "NSAID",
    "antifolate": "antifolate",
    "opioid": "opioid",
    "benzodiazepine": "benzodiazepine",
    "xanthine_oxidase": "inhibits xanthine oxidase",
    "thiopurine": "thiopurine",
    "potassium_sparing": "spares potassium",
    "potassium": "gives potassium",
    "ace": "ACE inhibitor",
    "lithium": "lithium",
    "raises_lithium": "lowers the clearance of lithium",
}
"""Each property in words."""


def _of(drug_class: str, *properties: str) -> DrugFacts:
    assert all(one in PROPERTIES for one in properties), properties
    return DrugFacts(drug_class=drug_class, properties=properties)


DRUGS: dict[str, DrugFacts] = {
    "clarithromycin": _of("macrolide", "strong_3a4_inhibitor", "pgp_inhibitor", "qt"),
    "azithromycin": _of("macrolide", "qt"),
    "itraconazole": _of("azole antifungal", "strong_3a4_inhibitor", "pgp_inhibitor"),
    "fluconazole": _of("azole antifungal", "inhibitor_2c9", "qt"),
    "terbinafine": _of("allylamine antifungal", "strong_2d6_inhibitor"),
    "nystatin": _of("polyene antifungal"),
    "simvastatin": _of("statin", "narrow_3a4"),
    "lovastatin": _of("statin", "narrow_3a4"),
    "rosuvastatin": _of("statin"),
    "ergotamine": _of("ergot alkaloid", "narrow_3a4"),
    "eplerenone": _of("aldosterone antagonist", "narrow_3a4", "potassium_sparing"),
    "spironolactone": _of("aldosterone antagonist", "potassium_sparing"),
    "amiloride": _of("sodium channel blocker", "potassium_sparing"),
    "chlorthalidone": _of("thiazide-like diuretic", "raises_lithium"),
    "hydrochlorothiazide": _of("thiazide diuretic", "raises_lithium"),
    "potassium_chloride": _of("supplement", "potassium"),
    "lisinopril": _of("ACE inhibitor", "ace", "raises_lithium"),
    "enalapril": _of("ACE inhibitor", "ace", "raises_lithium"),
    "amlodipine": _of("calcium channel blocker"),
    "bisoprolol": _of("beta blocker"),
    "phenelzine": _of("MAO inhibitor", "mao"),
    "linezolid": _of("oxazolidinone", "mao"),
    "vancomycin": _of("glycopeptide"),
    "sertraline": _of("SSRI", "ssri", "serotonergic"),
    "paroxetine": _of("SSRI", "ssri", "serotonergic", "strong_2d6_inhibitor"),
    "fluoxetine": _of("SSRI", "ssri", "serotonergic", "strong_2d6_inhibitor"),
    "venlafaxine": _of("SNRI", "serotonergic"),
    "nitroglycerin": _of("nitrate", "nitrate"),
    "isosorbide_mononitrate": _of("nitrate", "nitrate"),
    "sildenafil": _of("PDE5 inhibitor", "pde5"),
    "tadalafil": _of("PDE5 inhibitor", "pde5"),
    "finasteride": _of("5-alpha reductase inhibitor"),
    "ciprofloxacin": _of("fluoroquinolone", "strong_1a2_inhibitor", "qt"),
    "cephalexin": _of("cephalosporin"),
    "amoxicillin": _of("penicillin"),
    "cefuroxime": _of("cephalosporin"),
    "dicloxacillin": _of("penicillin"),
    "tizanidine": _of("muscle relaxant", "sensitive_1a2"),
    "baclofen": _of("muscle relaxant"),
    "sotalol": _of("antiarrhythmic", "qt"),
    "haloperidol": _of("antipsychotic", "qt"),
    "ondansetron": _of("5-HT3 antagonist", "qt"),
    "amiodarone": _of("antiarrhythmic", "qt", "pgp_inhibitor", "inhibitor_2c9"),
    "verapamil": _of("calcium channel blocker", "pgp_inhibitor"),
    "digoxin": _of("cardiac glycoside", "narrow_pgp"),
    "warfarin": _of("vitamin K antagonist", "anticoagulant", "narrow_2c9"),
    "rivaroxaban": _of("factor Xa inhibitor", "anticoagulant", "induced_anticoagulant"),
    "dabigatran": _of("thrombin inhibitor", "anticoagulant", "induced_anticoagulant"),
    "enoxaparin": _of("low molecular weight heparin", "anticoagulant"),
    "ibuprofen": _of("NSAID", "nsaid", "raises_lithium"),
    "naproxen": _of("NSAID", "nsaid", "raises_lithium"),
    "ketorolac": _of("NSAID", "nsaid", "raises_lithium"),
    "acetaminophen": _of("analgesic"),
    "rifampin": _of("rifamycin", "inducer"),
    "carbamazepine": _of("anticonvulsant", "inducer"),
    "levetiracetam": _of("anticonvulsant"),
    "methotrexate": _of("antifolate", "antifolate"),
    "sulfamethoxazole_trimethoprim": _of("sulfonamide", "antifolate", "inhibitor_2c9"),
    "metronidazole": _of("nitroimidazole", "inhibitor_2c9"),
    "morphine": _of("opioid", "opioid"),
    "hydromorphone": _of("opioid", "opioid"),
    "lorazepam": _of("benzodiazepine", "benzodiazepine"),
    "allopurinol": _of("xanthine oxidase inhibitor", "xanthine_oxidase"),
    "probenecid": _of("uricosuric"),
    "azathioprine": _of("thiopurine", "thiopurine"),
    "mycophenolate": _of("IMPDH inhibitor"),
    "lithium": _of("mood stabiliser", "lithium"),
    "clopidogrel": _of("antiplatelet", "prodrug_2c19"),
    "omeprazole": _of("proton pump inhibitor", "inhibitor_2c19"),
    "esomeprazole": _of("proton pump inhibitor", "inhibitor_2c19"),
    "pantoprazole": _of("proton pump inhibitor"),
    "tamoxifen": _of("oestrogen antagonist", "prodrug_2d6"),
    "cetirizine": _of("antihistamine"),
    "cholecalciferol": _of("vitamin"),
    "docusate": _of("stool softener"),
    "polyethylene_glycol": _of("osmotic laxative"),
    "latanoprost": _of("prostaglandin eye drops"),
    "artificial_tears": _of("eye drops"),
    "saline_spray": _of("nose spray"),
}
BENIGN = (
    "cetirizine",
    "cholecalciferol",
    "docusate",
    "polyethylene_glycol",
    "latanoprost",
    "artificial_tears",
    "saline_spray",
    "nystatin",
)
"""Drugs without a known interaction of weight with any other here."""
FORBIDDEN = {
    "penicillins": ("penicillin",),
    "cephalosporins": ("cephalosporin",),
    "macrolides": ("macrolide",),
    "sulfonamides": ("sulfonamide",),
    "antihistamines": ("antihistamine",),
    "polyethylene_glycol": ("osmotic laxative",),
    "prostaglandins": ("prostaglandin eye drops",),
}
"""By what an allergy names: the classes of drugs that it forbids. US labels, section 4; Drug Facts, `Do not use`."""

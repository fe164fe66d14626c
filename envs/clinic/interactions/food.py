"""What is eaten or drunk that changes a drug's effect. No case asks for it."""

from __future__ import annotations

from common.records import Record


class Food(Record):
    """What the label says of food."""

    says: str
    source: str


_JUICE = "grapefruit juice raises its level"
_BEFORE = "at least an hour before a meal"
FOODS = {
    "simvastatin": Food(says=_JUICE, source="Zocor label, section 7"),
    "lovastatin": Food(says=_JUICE, source="Mevacor label"),
    "amiodarone": Food(says=_JUICE, source="Cordarone label"),
    "carbamazepine": Food(says=_JUICE, source="Tegretol label"),
    "warfarin": Food(says="a change of vitamin K in the diet changes its effect", source="Coumadin label"),
    "phenelzine": Food(says="tyramine, as in aged cheese, raises the pressure", source="Nardil label"),
    "linezolid": Food(says="much tyramine, as in aged cheese, raises the pressure", source="Zyvox label"),
    "ciprofloxacin": Food(says="dairy products alone lower its level", source="Cipro label"),
    "rivaroxaban": Food(says="15 and 20 mg are taken with food", source="Xarelto label, section 2"),
    "itraconazole": Food(says="capsules are taken with a full meal", source="Sporanox label"),
    "esomeprazole": Food(says=_BEFORE, source="Nexium label, section 2"),
    "metronidazole": Food(says="no alcohol", source="Flagyl label"),
    "spironolactone": Food(says="salt substitutes with potassium raise potassium", source="Aldactone label"),
    "lisinopril": Food(says="salt substitutes with potassium raise potassium", source="Zestril label"),
}
"""By drug; of others nothing is known here."""

"""What a condition is, and those that several complaints share."""

from __future__ import annotations

from collections.abc import Mapping

from common.records import Record
from envs.clinic.diagnosis.criteria import Criterion, is_, limit

INTENSIVE, WARD, HOME = "intensive", "ward", "home"
PLACES = (INTENSIVE, WARD, HOME)
"""Where a patient goes: critical care, catheter laboratory or theatre; a ward; home."""
NOBODY = "nobody"
SPECIALTIES = ("cardiology", "surgery", "neurology", "neurosurgery", "gynaecology", "urology")


class Condition(Record):
    """Without criteria it is what remains. `calls` is the specialty that the source wants involved at once; `gives` a
    drug that it wants given at once, which harms where `unless` holds; `never` drugs that harm in it."""

    code: str
    name: str
    place: str
    source: str
    criteria: tuple[Criterion, ...] = ()
    calls: str = NOBODY
    gives: str = ""
    never: tuple[str, ...] = ()
    unless: Criterion | None = None

    def holds(self, facts: Mapping[str, float | str]) -> bool:
        """Whether all criteria hold; never of what remains."""
        return bool(self.criteria) and all(one.holds(facts) for one in self.criteria)

    @property
    def needs(self) -> frozenset[str]:
        """The findings on which it and its treatment rest."""
        rests = (*self.criteria, *([self.unless] if self.unless else []))
        return frozenset[str]().union(*(one.needs for one in rests))

    def harms(self, facts: Mapping[str, float | str]) -> bool:
        """Whether the drug that it wants must not be given."""
        return self.unless is not None and self.unless.holds(facts)


BLEEDING = ("alteplase", "heparin", "aspirin")
"""US labels of Activase and of heparin, section 4, active bleeding; aspirin: guidelines of the conditions."""
PE = "Konstantinides et al., 2019 ESC Guidelines for acute pulmonary embolism, Eur Heart J 2020;41:543"
EMBOLISM = Condition(
    code="I26.99",
    name="pulmonary embolism",
    place=WARD,
    source=PE,
    criteria=(is_("ct_chest", "embolus"),),
    gives="heparin",
)
HAEMORRHAGE = Condition(
    code="I61.9",
    name="intracerebral haemorrhage",
    place=INTENSIVE,
    source="Greenberg et al., 2022 AHA/ASA Guideline for spontaneous ICH, Stroke 2022;53:e282",
    criteria=(is_("head_imaging", "intracerebral"),),
    calls="neurosurgery",
    never=BLEEDING,
)
HYPOGLYCAEMIA = Condition(
    code="E11.649",
    name="type 2 diabetes with hypoglycaemia",
    place=WARD,
    source="ADA, Standards of Care in Diabetes 2024, section 6 (level 2: below 54 mg/dL), Diabetes Care 2024;47:S111",
    criteria=(limit("glucose", "<", 54),),
    gives="dextrose",
    never=("insulin",),
)
NO_LOW_GLUCOSE = limit("glucose", ">=", 54)

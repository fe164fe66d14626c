"""Which pairs interact, by the mechanism: two properties, a severity, an action.

A rule's severity is what US labels say of such a pair: `contraindicated` in section 4, `major` a boxed warning, `avoid`
or a dose that must be changed, `moderate` monitoring. They cover the high-priority pairs of Phansalkar et al., J Am Med
Inform Assoc 2012;19:735, whose drugs are in the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from common.records import Record
from envs.clinic.interactions.facts import DRUGS, PROPERTIES

NONE, MODERATE, MAJOR, CONTRAINDICATED = "none", "moderate", "major", "contraindicated"
SEVERITIES = (NONE, MODERATE, MAJOR, CONTRAINDICATED)
MONITOR, ADJUST, AVOID = "monitor", "adjust", "avoid"
ACTIONS = (NONE, MONITOR, ADJUST, AVOID)


class Rule(Record):
    """Drugs with the one property and drugs with the other interact."""

    one: str
    other: str
    severity: str
    action: str
    source: str

    def holds(self, first: str, second: str) -> bool:
        """Whether the pair has both properties, one each."""
        mine, its = DRUGS[first].properties, DRUGS[second].properties
        return (self.one in mine and self.other in its) or (self.one in its and self.other in mine)

    def __str__(self) -> str:
        return f"{PROPERTIES[self.one]} + {PROPERTIES[self.other]}: {self.severity}, {self.action}"


def _rule(one: str, other: str, severity: str, action: str, source: str) -> Rule:
    return Rule(one=one, other=other, severity=severity, action=action, source=source)


RULES = (
    _rule("mao", "serotonergic", CONTRAINDICATED, AVOID, "Nardil, Zoloft, Effexor XR labels, section 4"),
    _rule("nitrate", "pde5", CONTRAINDICATED, AVOID, "Viagra and Cialis labels, section 4"),
    _rule("strong_3a4_inhibitor", "narrow_3a4", CONTRAINDICATED, AVOID, "Zocor, Inspra, Cafergot labels"),
    _rule("strong_1a2_inhibitor", "sensitive_1a2", CONTRAINDICATED, AVOID, "Zanaflex label, section 4"),
    _rule("qt", "qt", MAJOR, AVOID, "Betapace, Haldol, Zofran labels"),
    _rule("anticoagulant", "nsaid", MAJOR, AVOID, "Coumadin and Xarelto labels, section 7"),
    _rule("antifolate", "antifolate", MAJOR, AVOID, "Trexall label, section 7"),
    _rule("opioid", "benzodiazepine", MAJOR, AVOID, "boxed warning of both classes, FDA 2016"),
    _rule("inducer", "induced_anticoagulant", MAJOR, AVOID, "Xarelto and Pradaxa labels, section 7"),
    _rule("potassium_sparing", "potassium", MAJOR, AVOID, "Aldactone label, section 7"),
    _rule("inhibitor_2c19", "prodrug_2c19", MAJOR, AVOID, "Plavix label, section 7"),
    _rule("strong_2d6_inhibitor", "prodrug_2d6", MAJOR, AVOID, "Jin et al., J Natl Cancer Inst 2005;97:30"),
    _rule("xanthine_oxidase", "thiopurine", MAJOR, ADJUST, "Imuran label, section 7"),
    _rule("pgp_inhibitor", "narrow_pgp", MAJOR, ADJUST, "Lanoxin label, section 7"),
    _rule("inhibitor_2c9", "narrow_2c9", MAJOR, ADJUST, "Coumadin label, section 7"),
    _rule("inducer", "narrow_2c9", MAJOR, ADJUST, "Coumadin label, section 7"),
    _rule("lithium", "raises_lithium", MAJOR, ADJUST, "Lithium label, section 7"),
    _rule("ssri", "nsaid", MODERATE, MONITOR, "Zoloft label, section 7"),
    _rule("ssri", "anticoagulant", MODERATE, MONITOR, "Zoloft label, section 7"),
    _rule("ace", "potassium_sparing", MODERATE, MONITOR, "Zestril label, section 7"),
    _rule("ace", "potassium", MODERATE, MONITOR, "Zestril label, section 7"),
)


def interaction(first: str, second: str) -> Rule | None:
    """The most severe rule that holds of a pair; None where none does, or both are one drug."""
    found = [] if first == second else [rule for rule in RULES if rule.holds(first, second)]
    return max(found, key=lambda rule: SEVERITIES.index(rule.severity), default=None)


def interactions(drugs: Sequence[str]) -> Iterator[tuple[str, Rule]]:
    """The pairs of a list that interact, named in the order of the alphabet, `a+b`."""
    for first, second in combinations(sorted(set(drugs)), 2):
        rule = interaction(first, second)
        if rule is not None:
            yield f"{first}+{second}", rule

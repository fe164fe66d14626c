"""The kinds of requests, by name."""

from __future__ import annotations

from envs.clinic.chart.families.filtration import Dose, Filtration
from envs.clinic.chart.families.grace import Grace
from envs.clinic.chart.families.kdigo import Kdigo
from envs.clinic.chart.families.news2 import News2
from envs.clinic.chart.families.quality import Antibiotic, Coding
from envs.clinic.chart.families.reconciliation import Reconciliation
from envs.clinic.chart.families.sofa import Sofa
from envs.clinic.chart.families.trend import Balance, Clearance, Rise
from envs.clinic.chart.family import Family

_ALL = (
    Sofa(),
    News2(),
    Grace(),
    Kdigo(),
    Filtration(),
    Dose(),
    Reconciliation(),
    Clearance(),
    Balance(),
    Rise(),
    Coding(),
    Antibiotic(),
)
FAMILIES: dict[str, Family] = {family.name: family for family in _ALL}
RELEASED = {
    "sofa": 12,
    "news2": 12,
    "grace": 8,
    "kdigo": 8,
    "egfr": 4,
    "dose": 6,
    "reconciliation": 10,
    "lactate": 4,
    "balance": 2,
    "sodium": 2,
    "coding": 4,
    "antibiotic": 3,
}
"""Tasks of the release set by kind: 75."""
FIRST = ("news2", "egfr")
"""Those of the tier `first`."""

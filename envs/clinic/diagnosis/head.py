"""Conditions of headache and of sudden weakness."""

from __future__ import annotations

from envs.clinic.diagnosis.condition import (
    BLEEDING,
    HAEMORRHAGE,
    HOME,
    HYPOGLYCAEMIA,
    INTENSIVE,
    NO_LOW_GLUCOSE,
    WARD,
    Condition,
)
from envs.clinic.diagnosis.criteria import Points, is_, limit

PLEOCYTOSIS = limit("csf_leucocytes", ">", 5)
ICHD = "ICHD-3, Cephalalgia 2018;38:1"
HEAD = (
    Condition(
        code="I60.9",
        name="subarachnoid haemorrhage",
        place=INTENSIVE,
        source="Hoh et al., 2023 AHA/ASA Guideline for aneurysmal SAH, Stroke 2023;54:e314",
        criteria=(
            Points(
                least=1,
                parts=((1, is_("head_imaging", "subarachnoid")), (1, is_("csf_colour", "xanthochromic"))),
            ),
        ),
        calls="neurosurgery",
        never=BLEEDING,
    ),
    HAEMORRHAGE,
    Condition(
        code="G00.9",
        name="bacterial meningitis",
        place=INTENSIVE,
        source="Spanos et al., JAMA 1989;262:2700 (glucose ratio below .23)",
        criteria=(PLEOCYTOSIS, limit("csf_glucose_ratio", "<", 0.23)),
        gives="ceftriaxone",
    ),
    Condition(
        code="A87.9",
        name="viral meningitis",
        place=WARD,
        source="McGill et al., UK joint specialist societies guideline, J Infect 2016;72:405 (normal ratio above .66)",
        criteria=(PLEOCYTOSIS, limit("csf_glucose_ratio", ">", 0.66)),
    ),
    Condition(
        code="G43.909",
        name="migraine",
        place=HOME,
        source=f"{ICHD}, 1.1: five attacks or more",
        criteria=(is_("headache", "migrainous"), is_("earlier_headaches", "dozens")),
    ),
    Condition(
        code="G44.209",
        name="tension-type headache",
        place=HOME,
        source=f"{ICHD}, 2: ten attacks or more",
        criteria=(is_("headache", "pressing"), is_("earlier_headaches", "dozens")),
    ),
    Condition(
        code="M31.6",
        name="giant cell arteritis",
        place=WARD,
        source="Ponte et al., 2022 ACR/EULAR criteria, Ann Rheum Dis 2022;81:1647 (from 50 years, 6 points)",
        criteria=(
            Points(
                least=6,
                parts=(
                    (3, limit("esr", ">=", 50)),
                    (2, is_("headache", "temporal")),
                    (2, is_("temples", "artery")),
                    (2, is_("chewing", "claudication")),
                ),
            ),
        ),
        gives="prednisone",
    ),
    Condition(code="R51.9", name="headache, none of the others", place=WARD, source="ICD-10-CM"),
)
WEAK = (
    Condition(
        code="I63.9",
        name="ischaemic stroke",
        place=WARD,
        source="Sacco et al., Updated definition of stroke for the 21st century, Stroke 2013;44:2064",
        criteria=(is_("head_imaging", "infarct"), NO_LOW_GLUCOSE),
        calls="neurology",
    ),
    HAEMORRHAGE,
    Condition(
        code="I62.00",
        name="subdural haemorrhage",
        place=INTENSIVE,
        source="Sacco et al., Stroke 2013;44:2064; ICD-10-CM",
        criteria=(is_("head_imaging", "subdural"),),
        calls="neurosurgery",
        never=BLEEDING,
    ),
    Condition(
        code="G45.9",
        name="transient ischaemic attack",
        place=WARD,
        source="Easton et al., Definition and evaluation of TIA, Stroke 2009;40:2276 (no infarct on imaging)",
        criteria=(
            is_("weakness", "resolved"),
            is_("head_imaging", "normal"),
            is_("seizure", "none"),
            NO_LOW_GLUCOSE,
        ),
        calls="neurology",
    ),
    Condition(
        code="G83.84",
        name="paralysis after a seizure",
        place=WARD,
        source="Powers et al., 2019 AHA/ASA Guideline for ischemic stroke, Stroke 2019;50:e344 (mimics)",
        criteria=(
            is_("weakness", "resolved"),
            is_("head_imaging", "normal"),
            is_("seizure", "seen"),
            NO_LOW_GLUCOSE,
        ),
        calls="neurology",
    ),
    HYPOGLYCAEMIA,
)

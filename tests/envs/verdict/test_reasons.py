from __future__ import annotations

import asyncio
import random

import pytest

from common.records import LabelledTask
from envs.conformance.baselines import SILENT
from envs.verdict.environment import VerdictEnvironment
from envs.verdict.reasons import against, in_favour
from envs.verdict.spec import VerdictSettings

NOTE = (
    "A 40-year-old man comes to the physician because of weakness.",
    "His serum potassium is 4.2 mEq/L.",
    "He has an allergy to penicillin.",
    "Sputum culture grows Legionella pneumophila.",
    "He is given azithromycin.",
    "He takes lisinopril 10 mg daily.",
    "The cause is hypokalemia.",
    "Legionella pneumophila is the cause.",
)


@pytest.mark.parametrize(
    ("at", "old", "new", "says"),
    [
        (6, "hypokalemia", "hyperkalemia", "cannot stand with potassium of 5.0 or less (potassium 3.5 to 5.0 mEq/L)"),
        (4, "azithromycin", "amoxicillin", "is one of the penicillins, to which an allergy is stated"),
        (5, "10", "1000", "exceeds the 80 mg a day of the label"),
        (7, "Legionella pneumophila", "Moraxella catarrhalis", "is not what the culture grew"),
        (4, "azithromycin", "ofloxacin", "is one of the fluoroquinolones, and this case needs one of the macrolides"),
        (6, "hypokalemia", "gout", "None"),
        (4, "azithromycin", "rest", "None"),
    ],
)
def test_the_reason_against_an_error_is_that_of_its_table(at: int, old: str, new: str, says: str) -> None:
    assert str(against(NOTE, at, old, new)) == says


def test_what_a_table_vouches_for_stands_in_the_note() -> None:
    clean = (*NOTE[:2], *NOTE[3:6])
    found = [reason for seed in range(40) if (reason := in_favour(clean, random.Random(seed)))]
    assert all(reason.quote in clean[reason.at] for reason in found)
    clauses = " ".join(reason.clause for reason in found)
    assert "within the 80 mg a day" in clauses and "macrolides, to which no allergy" in clauses
    assert "speaks against" in clauses and in_favour(("He is well.",), random.Random(0)) is None


def test_an_allergy_in_the_note_leaves_no_word_of_none() -> None:
    found = [reason for seed in range(40) if (reason := in_favour(NOTE, random.Random(seed)))]
    assert found and not any("no allergy" in reason.clause for reason in found)


def test_every_error_that_the_tables_prove_is_demonstrated_with_its_reason() -> None:
    env, shown = VerdictEnvironment(VerdictSettings(), 0), 0
    for index in range(120):
        slot = env.plan(index)
        made = asyncio.run(env.propose(slot, random.Random(slot.seed), SILENT))
        assert isinstance(made, LabelledTask)
        if "inject:A:stated" in made.task.provenance.operators:
            assert "cannot stand with" in env.demonstration(made, random.Random(0))
            shown += 1
    assert shown > 20

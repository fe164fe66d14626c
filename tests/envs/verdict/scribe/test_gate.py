from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from envs.verdict.scribe.gate import check, entities
from envs.verdict.scribe.pairs import Pair, Part, read_pairs

KEPT = [
    ("A 24-year-old man comes to the ED with fever.", "A 24 y/o man presents to the emergency department with fever."),
    ("She takes Tylenol 500 mg for two weeks.", "For 2 weeks she has been taking acetaminophen 500 mg."),
    ("The patient has no fever or chills at this time.", "At this time the patient denies fever or chills."),
    ("His blood pressure is 132/86 mm Hg.", "A BP of 132/86 mm Hg was recorded for him."),
    ("Culture of the sputum grows Streptococcus pneumoniae.", "Sputum culture is growing Streptococcus pneumoniae."),
]
CHANGED = [
    ("number", "She takes metformin 500 mg daily.", "She takes metformin 850 mg each day."),
    ("number", "She takes metformin 500 mg daily.", "She takes metformin 500 g each day."),
    ("number", "Pulse is 96/min, respirations are 26/min.", "Pulse was 26/min, respirations were 96/min."),
    ("age", "A 24-year-old man has cough.", "A 42-year-old man with cough."),
    ("age", "The newborn has a fever today.", "Today the toddler has a fever."),
    ("sex", "A 24-year-old man has cough.", "A 24-year-old woman with cough."),
    ("side", "He has pain in the left knee.", "He feels pain in the right knee."),
    ("direction", "Labs show elevated creatinine levels.", "Labs reveal reduced creatinine levels."),
    ("drug", "He was given amoxicillin yesterday evening.", "He was given a pill yesterday evening."),
    ("organism", "The culture grew Escherichia coli in two days.", "The culture grew a germ in two days."),
    ("disease", "The patient has a history of asthma.", "The patient has a long history."),
    ("finding", "The patient has had fever and vomiting.", "The patient has had fever and trouble."),
    ("procedure", "A colonoscopy was arranged for tomorrow.", "A visit was arranged for tomorrow."),
    ("entity", "The patient has had a fever all week.", "The patient has had a fever and sepsis all week."),
    ("entity", "The patient went to the hospital alone.", "The patient went to the Bellevue hospital alone."),
    ("name", "The wound was explored by Morgan today.", "The wound was explored by someone today."),
    ("negation", "She has no fever but has cough.", "She has no cough but has fever."),
    ("negation", "She has no fever or cough.", "She does have fever or cough."),
    ("drift", "The abdomen is distended and soft.", "The abdomen is undistended and soft."),
    ("drift", "The abdomen is soft and scaphoid.", "Everything looked fine to them there."),
]
FORM = [
    ("empty", "  "),
    ("lines", "The patient rests\nquietly at home today."),
    ("meta", "Here is the sentence: the patient rests at home."),
    ("meta", "Sure, the patient rests at home."),
    ("meta", '"The patient rests quietly at home."'),
    ("meta", "<b>The patient rests quietly at home.</b>"),
    ("meta", "1. The patient rests at home quietly."),
    ("identical", "the patient is resting quietly at home"),
    ("length", "Resting."),
    ("length", "The patient is resting quietly at home today and will keep on resting at home."),
]

PAIRS = read_pairs()
KINDS = sorted({pair.kind for pair in PAIRS} - {"kept"})


def test_the_pairs_are_as_many_as_the_figures_ask_for_and_no_pair_stands_twice() -> None:
    counts = Counter((pair.kind, pair.part) for pair in PAIRS)
    least = {Part.DEVELOPMENT: (300, 20), Part.HELDOUT: (150, 10), Part.FRESH: (100, 6)}
    assert len(KINDS) >= 15
    for part, (kept, changed) in least.items():
        assert counts["kept", part] >= kept and all(counts[kind, part] >= changed for kind in KINDS)
    assert len({(pair.one, pair.other) for pair in PAIRS}) == len(PAIRS)
    assert all(pair.one != pair.other for pair in PAIRS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_of_one_fact_is_refused_in_either_direction(kind: str) -> None:
    known = [pair for pair in PAIRS if pair.kind == kind and pair.part is Part.DEVELOPMENT]
    assert [pair for pair in known if None in (verdict(pair), verdict(turned(pair)))] == []


def test_four_of_five_known_paraphrases_pass() -> None:
    good = [pair for pair in PAIRS if pair.kind == "kept" and pair.part is Part.DEVELOPMENT]
    assert sum(verdict(pair) is None for pair in good) >= 0.8 * len(good)


def test_at_most_three_in_a_hundred_unknown_changes_pass() -> None:
    changed = [pair for pair in PAIRS if pair.kind != "kept" and pair.part is not Part.DEVELOPMENT]
    assert sum(verdict(pair) is None for pair in changed) <= 0.03 * len(changed)


def test_four_of_five_unknown_paraphrases_pass() -> None:
    good = [pair for pair in PAIRS if pair.kind == "kept" and pair.part is not Part.DEVELOPMENT]
    assert sum(verdict(pair) is None for pair in good) >= 0.8 * len(good)


def verdict(pair: Pair) -> str | None:
    return check(pair.one, pair.other, pair.patient)


def turned(pair: Pair) -> Pair:
    return msgspec.structs.replace(pair, one=pair.other, other=pair.one)


def test_only_the_sex_of_the_patient_may_be_added() -> None:
    said = ("Aspirin was continued for now.", "For now she continued to take aspirin.")
    assert (check(*said), check(*said, "male"), check(*said, "female")) == ("sex", "sex", None)


def test_the_examples_of_the_issue_are_judged_right() -> None:
    assert check("Patient denies chest pain", "No reports of angina") is None
    for one, other in (
        ("Fever followed the rash.", "The rash followed the fever."),
        ("His mother has gout.", "His father has gout."),
        ("The mass is mobile.", "The mass is fixed."),
        ("He takes warfarin.", "He took warfarin in the past."),
        ("The mass is probably benign.", "The mass is certainly benign."),
    ):
        assert check(one, other) is not None


@pytest.mark.parametrize(("original", "rewritten"), KEPT)
def test_another_wording_of_the_same_facts_passes(original: str, rewritten: str) -> None:
    assert check(original, rewritten) is None


@pytest.mark.parametrize(("reason", "original", "rewritten"), CHANGED)
def test_a_changed_fact_is_refused_by_its_name(reason: str, original: str, rewritten: str) -> None:
    assert check(original, rewritten) == reason


@pytest.mark.parametrize(("reason", "rewritten"), FORM)
def test_a_reply_that_is_not_one_plain_sentence_is_refused(reason: str, rewritten: str) -> None:
    assert check("The patient is resting quietly at home.", rewritten) == reason


def test_a_productive_cough_is_not_a_nonproductive_one() -> None:
    assert check("He has a nonproductive cough today.", "Today he has a productive cough.") == "drift"


def test_entities_know_brand_names_abbreviations_and_word_endings() -> None:
    found = entities("Lasix was given for CHF; tendonopathy and Klebsiella pneumoniae were ruled out.")
    assert {("drug", "furosemide"), ("disease", "failure"), ("disease", "tendonopathy")} <= found
    assert ("organism", "klebsiella pneumoniae") in found

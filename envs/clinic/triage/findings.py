"""What is said of a patient at triage: sentences, each with what it means for the tree, and its decoy.

A decoy looks the same and means nothing. The sentences are ours; what they mean is the handbook's (see `esi`): its
examples of point A, and of the high-risk situations of point B.
"""

from __future__ import annotations

from typing import NamedTuple

from envs.clinic.triage.esi import CHEMO
from envs.clinic.world import MONTHS

SURVEY, HISTORY, CARE, PRESENTATION = "survey", "history", "care", "presentation"
"""Where a sentence is found: `Said.part`."""
BREATHING, RESPONSE = "breathing", "response"
"""Topics of the survey."""
ONSET, PAST, MIND, ALLERGIES = "onset", "past", "mind", "allergies"
TOPICS = (ONSET, PAST, MIND, ALLERGIES)
"""Topics of the history."""
IMMEDIATE = "immediate"
"""The flag of point A."""
CONFUSION, LETHARGY, STROKE, SUICIDE, ECTOPIC = "confusion", "lethargy", "stroke", "suicide", "ectopic"


class Sign(NamedTuple):
    """A sentence that raises a flag, its decoy, and whom it fits: ages in months, sex, complaint."""

    flag: str
    part: str
    topic: str
    text: str
    decoy: str
    youngest: int = 0
    oldest: int = 150 * MONTHS
    sex: str = ""
    complaint: str = ""


SIGNS = (
    Sign(
        IMMEDIATE,
        SURVEY,
        RESPONSE,
        "Responds only to pain.",
        "Alert, looks around.",
    ),
    Sign(
        IMMEDIATE,
        SURVEY,
        RESPONSE,
        "Does not respond, not even to pain.",
        "Asleep, wakes at once when spoken to.",
    ),
    Sign(
        IMMEDIATE,
        SURVEY,
        BREATHING,
        "In severe respiratory distress, tiring.",
        "A little short of breath, not in distress.",
    ),
    Sign(
        CONFUSION,
        SURVEY,
        RESPONSE,
        "Confused since this morning.",
        "Confused for years with a known dementia, no change.",
        youngest=60 * MONTHS,
    ),
    Sign(
        CONFUSION,
        SURVEY,
        RESPONSE,
        "Disoriented since an hour ago.",
        "Alert and oriented.",
        youngest=9 * MONTHS,
    ),
    Sign(
        LETHARGY,
        SURVEY,
        RESPONSE,
        "Lethargic since this morning, hard to rouse.",
        "Tired since this morning, wakes at once.",
        oldest=8 * MONTHS,
    ),
    Sign(
        STROKE,
        HISTORY,
        ONSET,
        "For 40 minutes the left arm is weak and speech is slurred.",
        "The left arm has been weak since a stroke four years ago, no change.",
        youngest=40 * MONTHS,
    ),
    Sign(
        ECTOPIC,
        HISTORY,
        ONSET,
        "Low pain on the right; period three weeks late, pregnancy test positive.",
        "Low pain on the right; period ended two days ago, pregnancy test negative.",
        youngest=18 * MONTHS,
        oldest=44 * MONTHS,
        sex="F",
        complaint="abdominal pain",
    ),
    Sign(
        CHEMO,
        HISTORY,
        PAST,
        "Chemotherapy for lymphoma, last given six days ago.",
        "Chemotherapy for lymphoma, completed nine years ago.",
        youngest=12 * MONTHS,
    ),
    Sign(
        SUICIDE,
        HISTORY,
        MIND,
        "Wants to end life and has a plan for tonight.",
        "Mourns a friend, does not want to die.",
        youngest=18 * MONTHS,
    ),
    Sign(
        IMMEDIATE,
        SURVEY,
        RESPONSE,
        "Groans when pinched, opens no eye and says nothing.",
        "Sighs, and speaks in whole sentences.",
        youngest=5 * MONTHS,
    ),
    Sign(
        IMMEDIATE,
        SURVEY,
        BREATHING,
        "Gasps, and can say single words only.",
        "Coughs now and then, speaks in whole sentences.",
        youngest=5 * MONTHS,
    ),
    Sign(
        CONFUSION,
        SURVEY,
        RESPONSE,
        "Has not known the month since yesterday, knew it before.",
        "Has not known the month for years, no change.",
        youngest=60 * MONTHS,
    ),
    Sign(
        LETHARGY,
        SURVEY,
        RESPONSE,
        "Limp and drowsy since last night.",
        "Sleepy after a bad night, looks around when woken.",
        oldest=8 * MONTHS,
    ),
    Sign(
        STROKE,
        HISTORY,
        ONSET,
        "The mouth has drooped on the right for an hour, and words come out slurred.",
        "The mouth has drooped on the right since a facial palsy two years ago, no change.",
        youngest=40 * MONTHS,
    ),
    Sign(
        ECTOPIC,
        HISTORY,
        ONSET,
        "Six weeks pregnant by dates, with pain on the left and spotting.",
        "Gave birth a year ago; pain on the left, pregnancy test negative today.",
        youngest=18 * MONTHS,
        oldest=44 * MONTHS,
        sex="F",
        complaint="abdominal pain",
    ),
    Sign(
        CHEMO,
        HISTORY,
        PAST,
        "On chemotherapy for leukaemia, third cycle last week.",
        "Had chemotherapy for leukaemia twelve years ago.",
        youngest=18 * MONTHS,
    ),
    Sign(
        SUICIDE,
        HISTORY,
        MIND,
        "Says that life should end today, and has the tablets for it.",
        "Is tired of being ill, and wants to live.",
        youngest=18 * MONTHS,
    ),
)
BY_TEXT = {sign.text: sign.flag for sign in SIGNS}
"""The flag that a sentence raises."""
NEUTRAL: dict[tuple[str, str], tuple[str, ...]] = {
    (SURVEY, BREATHING): ("Breathing is quiet.", "A little short of breath, not in distress."),
    (SURVEY, RESPONSE): ("Alert, looks around.", "Asleep, wakes at once when spoken to."),
    (HISTORY, ONSET): ("It began yesterday and has not changed.", "It comes and goes since three days ago."),
    (HISTORY, PAST): ("No earlier illness.", "Asthma as a child.", "Appendix removed ten years ago."),
    (HISTORY, MIND): ("No worries beside this.", "Is annoyed at the wait."),
}
"""What is said where no sign is."""
YOUNG: dict[tuple[str, str], tuple[str, ...]] = {
    (HISTORY, PAST): ("No earlier illness.", "Born at term, no earlier illness."),
    (HISTORY, MIND): ("The parents are worried.", "The parents ask when they will be seen."),
}
"""The same of those who are too young for it."""
COMPLAINTS = ("abdominal pain", "sore throat", "headache", "back pain", "vomiting", "dizziness", "cough", "fall")
"""Of whoever is old enough to say so. Chest pain is none of them: it takes an ECG, which is a resource by itself."""
OF_CHILDREN = ("vomiting", "cough", "fall", "rash")
ARRIVALS = ("walked in", "came by ambulance", "was brought by family")
MOODS = ("calm", "talks without pause", "annoyed at the wait", "asks to be seen first")
"""How somebody comes, and seems: of no meaning for the level."""


def flags_of(texts: list[str]) -> frozenset[str]:
    """The flags that these sentences raise."""
    return frozenset(BY_TEXT[text] for text in texts if text in BY_TEXT)

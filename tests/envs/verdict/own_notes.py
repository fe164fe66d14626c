"""Sixty correct notes as somebody outside this project may bring them: invented here, with no label."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

COUNT = 60
WHO = ("man", "woman", "teacher", "cook", "farmer", "nurse", "driver", "pianist", "gardener", "student")
CAME = (
    "comes to the clinic after {n} days of {c}",
    "was brought in by a neighbour who noticed {c} at breakfast",
    "calls because {c} has kept {n} nights short",
    "walks in and reports {c} that began {n} hours before",
    "is seen at home for {c} since the weekend",
)
COMPLAINT = (
    "a sore throat",
    "a swollen ankle",
    "burning urine",
    "a dry cough",
    "low back pain",
    "a rash",
    "an earache",
)
SEEN = (
    "Temperature {t}°C, pulse {p}, breathing calm and even.",
    "On the ward round the pulse was {p} and the skin warm at {t}°C.",
    "Vital signs: {t}°C, {p} beats a minute, no distress.",
    "The nurse wrote down {p} beats and {t}°C at {n} o'clock.",
)
BETWEEN = (
    "Appetite has been poor for {n} meals.",
    "Sleep is broken about {n} times a night.",
    "A cousin had something similar last spring.",
    "The stairs to floor {n} are climbed without a pause.",
    "Two cups of tea stayed down this morning.",
    "Shoes have felt tight for {n} evenings.",
)
DECISIONS = (
    ("The chart states an allergy to penicillin.", "Therefore the patient is started on {mac} for {n} days."),
    ("There is an allergy to ibuprofen since school.", "Pain is treated with acetaminophen {d} mg every {n} hours."),
    ("The left {part} is tender along its outer edge.", "Surgery of the left {part} is scheduled in {n} weeks."),
    ("A urine culture grew {bug} after {n} hours.", "An infection with {bug} is diagnosed and explained."),
    ("Metformin has been taken with dinner since {y}.", "Treatment goes on, and metformin is continued at {n} doses."),
    (
        "Blood pressure was {p} over 90 at the last visit.",
        "Amlodipine 5 mg is prescribed, to be reviewed in {n} weeks.",
    ),
)
UNUSABLE = ("Nobody was worried about it.", "The visit ended after {n} minutes with a friendly word.")
ENDS = ("A letter goes to the office by the {n}th.", "The next visit is in {n} days.", "Questions were answered twice.")


def own_notes(count: int = COUNT, seed: int = 0) -> dict[str, str]:
    """Text by id; every tenth states no decision."""
    rng = random.Random(seed)
    notes = dict[str, str]()
    for number in range(count):
        facts = {
            "n": rng.randint(2, 28),
            "c": rng.choice(COMPLAINT),
            "t": f"{rng.randint(361, 385) / 10}",
            "p": rng.randint(62, 168),
            "mac": rng.choice(("azithromycin", "erythromycin")),
            "d": rng.choice((325, 500, 650)),
            "part": rng.choice(("knee", "shoulder", "wrist", "elbow", "ankle")),
            "bug": rng.choice(("Escherichia coli", "Proteus mirabilis", "Enterococcus faecalis")),
            "y": rng.randint(2004, 2023),
        }
        decided = UNUSABLE if number % 10 == 9 else rng.choice(DECISIONS)
        opening = f"A {rng.randint(19, 88)}-year-old {rng.choice(WHO)} {rng.choice(CAME)}."
        parts = [opening, *rng.sample(BETWEEN, 2), decided[0], rng.choice(SEEN), decided[1], rng.choice(ENDS)]
        notes[f"own-{number:02d}"] = " ".join(parts).format(**facts)
    return notes


def write_csv(path: Path, notes: dict[str, str]) -> Path:
    """Columns `id` and `text`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "text"), *notes.items()])
    return path


def write_folder(path: Path, notes: dict[str, str]) -> Path:
    """A `.txt` file a note."""
    path.mkdir()
    for name, text in notes.items():
        (path / f"{name}.txt").write_text(text, encoding="utf-8")
    return path


def write_json_lines(path: Path, notes: dict[str, str]) -> Path:
    """Objects with `id` and `text`."""
    path.write_text("".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in notes.items()))
    return path


def write_dataset(path: Path, notes: dict[str, str]) -> Path:
    """As `save_to_disk` of Hugging Face's `datasets` writes it."""
    from datasets import Dataset  # it takes seconds

    Dataset.from_dict({"id": list(notes), "text": list(notes.values())}).save_to_disk(str(path))
    return path

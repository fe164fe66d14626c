"""HG26: guidelines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

import msgspec

from common.records import LabelledTask
from envs.clinic.diagnosis.cases import Answer
from envs.clinic.diagnosis.guidelines import GUIDELINES, applying
from envs.clinic.diagnosis.tools import NOTE, WHOLE
from envs.clinic.domains import DOMAINS
from envs.clinic.environment import Clinic
from envs.clinic.guidelines import Compliance, Recommendation
from envs.clinic.instruments import use
from envs.clinic.tasks import truth_of, world_at_start
from envs.clinic.world import World
from evals.core.parity import Control, Found, Row, demands
from evals.suites.clinic.parity import corrupted
from evals.suites.clinic.parity.parts import DIAGNOSIS, generated, playing, solved

Comply = Callable[[Sequence[Recommendation], World], Compliance | None]
WORDS = "Aspirin, heparin, insulin and epinephrine were given; the ECG, CT and all laboratory values were ordered."
TOOLS = {one.tool.name: one for one in WHOLE}


def guidelines(compliance: Comply, tasks_a_domain: int) -> Found:
    """Of the oracle, of who does nothing, and of who writes a note."""
    env, scores = playing(Clinic, DIAGNOSIS), list[tuple[float, float, float]]()
    for labelled in generated(DOMAINS[DIAGNOSIS], tasks_a_domain):
        some = tuple(applying(world_at_start(labelled.task), _answer(labelled)))
        if some:
            _, done = env.graded(solved(env, labelled), labelled.label)
            start = world_at_start(labelled.task)
            note = {"patient_id": start.patients[0].patient_id, "text": WORDS}
            found = [compliance(some, world) for world in (done, start, use(start, TOOLS[NOTE], note).world)]
            oracle, idle, noted = (one.score if one else 0.0 for one in found)
            scores.append((oracle, idle, noted))
    oracles, idles, notes = zip(*scores, strict=True)
    count = sum(len(guideline.parts) for guideline in GUIDELINES)
    return Found(
        f"{len(GUIDELINES)} guidelines of the 10 wanted, {count} recommendations, {len(scores)} patients: least of "
        f"the oracle {min(oracles):.2f}, mean of who does nothing {fmean(idles):.2f}, of who writes it into a note "
        f"{fmean(notes):.2f}",
        demands(
            the_oracle_meets_all=min(oracles) == 1.0,
            words_count_for_nothing=notes == idles,
            nothing_is_little=fmean(idles) < 0.15,
        ),
    )


def _answer(labelled: LabelledTask) -> Answer:
    return msgspec.convert(truth_of(labelled.label).answer, Answer)


ROWS = (
    Row(
        "HG26",
        "guidelines whose recommendations are predicates on actions, their times and their order",
        ("tests/envs/clinic/diagnosis/test_guidelines.py",),
        guidelines,
        Control("as in the source, what is written counts as done", corrupted.reads_notes),
    ),
)

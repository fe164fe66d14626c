"""An independent checker of the contradiction game: reads only the note, and knows classes by the drugs' endings."""

from __future__ import annotations

import re

from common.records import LabelledTask
from envs.contradiction.spec import ContradictionSettings

ENDINGS = ("cillin", "mycin", "floxacin", "cycline")
_ALLERGY = re.compile(r"Allerg(?:y|ic) to (\w+)\.")
_GIVEN = re.compile(r"(?:Given|Started) (\w+)\.")


def make(settings: ContradictionSettings) -> Checker:
    """The checker; it needs no data, because the game writes its own notes."""
    return Checker()


class Checker:
    """`disagreement` is called with each task."""

    def disagreement(self, labelled: LabelledTask) -> str | None:
        """Why the label differs from what the note says, or None when it agrees."""
        sentences, verdict = labelled.task.context["sentences"], labelled.label.truth["verdict"]
        allergies = [m[1] for s in sentences if (m := _ALLERGY.fullmatch(s))]
        given = [(at, m[1]) for at, s in enumerate(sentences) if (m := _GIVEN.fullmatch(s))]
        if len(allergies) != 1 or len(given) != 1:
            return f"the note states {len(allergies)} allergies and {len(given)} drugs"
        at, drug = given[0]
        wrong = any(allergies[0].endswith(end) and drug.endswith(end) for end in ENDINGS)
        derived = ("pharmacotherapy", at, sentences[at]) if wrong else (None, None, None)
        claimed = tuple(verdict.get(field) for field in ("error_type", "sentence", "error_text"))
        return None if claimed == derived else f"label says {claimed}, the note says {derived}"

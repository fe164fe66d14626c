"""The contradiction game's report: it has the verdict game's replies, flags and twins."""

from __future__ import annotations

from common.sections import EnvSettings
from envs.contract.report import Card
from envs.verdict.report import VerdictReport


class ContradictionReport(VerdictReport):
    """Without an exam and without proposals of the Scribe."""

    kinds = ("synthetic_decoy", "synthetic_injection")
    stages = ()
    exam = ""

    def card(self, settings: EnvSettings) -> Card:
        """A reader of made-up notes: nothing medical is claimed."""
        about = (
            "**A research model. Not a medical device, not for clinical use.** It reads a tiny made-up note and says "
            "whether the drug given is of the same class as the allergy."
        )
        return Card(about=about, data=f"The synthetic game `{settings.id}`: no clinical notes.")

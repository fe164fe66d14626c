"""What the lookup game says of its own results."""

from __future__ import annotations

from common.sections import EnvSettings
from envs.contract.report import Card
from envs.contract.turns_report import TurnsReport


class LookupReport(TurnsReport):
    """What every game of several turns measures."""

    kinds = ("lookup",)

    def card(self, settings: EnvSettings) -> Card:
        """Nothing is claimed of it."""
        about = "**A research model.** It looks a value up in two turns; the game exists to test the learner."
        return Card(about=about, data=f"The synthetic game `{settings.id}`: no clinical notes.")

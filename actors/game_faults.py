"""GameFaults: games of which one task after another cannot be played. They make no step, so a run that plays nothing
else would work on for ever, and only the logs of its Doctors would say why."""

from __future__ import annotations

import asyncio
from collections import Counter

from common.buffer_records import RejectReason

IN_A_ROW = 8
"""Rejected tasks of a game, none played in between, after which people are told."""

PAUSE_SECONDS = 1.0
"""Before a Doctor takes the next task, once people were told: without it a game that raises at once would be rejected
as fast as the processors can, and fill the journal."""

REMEDIES = {
    RejectReason.GAME_ERROR: "find the fault with `medserl check-env`, or by the tracebacks in logs/doctor-*.log",
    RejectReason.PARTNER: "let a pool serve that role, or take the game out of envs",
    RejectReason.ENGINE_ERROR: "the engines fail its requests: logs/engine-*.log and logs/pool-*.log say on what",
    RejectReason.TOO_LONG: "raise model.context, or let the game write shorter prompts",
}


class GameFaults:
    """Counts, by game, the tasks in a row that a Doctor had to reject. `warnings` are of games that play none."""

    def __init__(self) -> None:
        self.warnings: dict[str, str] = {}
        self._in_a_row = Counter[str]()

    def rejected(self, game: str, reason: str, detail: str) -> None:
        """A task of the game could not be played; `detail` is what was raised, in one line."""
        self._in_a_row[game] += 1
        if self._in_a_row[game] == IN_A_ROW:
            self.warnings[game] = (
                f"the game {game} plays none of its tasks: {IN_A_ROW} in a row were rejected, the last one as {reason} "
                f"({detail}): {REMEDIES[RejectReason(reason)]}"
            )

    async def pause(self, game: str) -> None:
        """Wait a while if the game plays none of its tasks."""
        if game in self.warnings:
            await asyncio.sleep(PAUSE_SECONDS)

    def played(self, game: str) -> None:
        """A task of the game was played to its end."""
        self._in_a_row.pop(game, None)
        self.warnings.pop(game, None)

"""The settings of the lookup game."""

from __future__ import annotations

from envs.contract.tool_game import ToolSettings


class LookupSettings(ToolSettings):
    """The lookup game. It makes its own tasks."""

    id: str = "lookup"

    @property
    def has_heldout(self) -> bool:
        """Any number of tasks of other draws."""
        return True

"""Scores as tools. They take numbers and never a patient, so that what to put in is the policy's."""

from __future__ import annotations

from envs.clinic.instruments import Arguments, Instrument, Used
from envs.clinic.scores.score import Score
from envs.clinic.world import World
from envs.contract.tool_schema import tool

MINUTES = 1


def calculator(score: Score) -> Instrument:
    """A score as a tool: its arguments are the score's inputs."""
    optional = tuple(one.name for one in score.inputs if one.optional)
    inputs = {one.name: one.schema() for one in score.inputs}

    def run(world: World, arguments: Arguments) -> Used:
        return Used(world, score.written(score(arguments)), MINUTES)

    return Instrument(tool(score.name, score.title, optional=optional, **inputs), run)

"""What a game offers beside the contract (`envs.contract.probing`): blind policies, and its texts per decision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice

from common.records import LabelledTask
from envs.conformance.leak_probe import leaks
from envs.contract.env import Environment
from envs.contract.probing import Policy, Probed, Unit

UNITS = 4000
"""Decisions whose texts are probed; the error of an AUC is then below 0.01."""


def own_policies(env: Environment) -> Mapping[str, Policy]:
    """The game's blind policies; none where it offers none."""
    return env.blind() if isinstance(env, Probed) else {}


def unit_leaks(env: Environment, tasks: Sequence[LabelledTask]) -> dict[str, float]:
    """The largest AUC of any probe by channel, over the decisions of the tasks; vignettes stay together."""
    if not isinstance(env, Probed):
        return {}
    channels: dict[str, list[tuple[Unit, str]]] = defaultdict(list)
    for task in tasks:
        for unit in env.units(task):
            channels[unit.channel].append((unit, task.task.provenance.vignette))
    return {f"{channel} text": _worst(list(islice(found, UNITS))) for channel, found in channels.items()}


def _worst(found: Sequence[tuple[Unit, str]]) -> float:
    units = [unit for unit, _ in found]
    areas = leaks([unit.text for unit in units], [unit.positive for unit in units], [vignette for _, vignette in found])
    return max(areas.values())

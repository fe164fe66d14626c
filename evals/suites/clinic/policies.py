"""Policies without a model of each domain: the ceiling, chance, and what is scored without what decides."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from common.records import LabelledTask
from envs.clinic.environment import Clinic
from envs.clinic.spec import ClinicSettings
from envs.contract.calls import render
from envs.contract.env import Act
from evals.core.played import Policy
from evals.core.policies import NULL, ORACLE, RANDOM, named
from evals.core.random_calls import random_call

GENERAL = (ORACLE, NULL, RANDOM)
"""Policies of every domain."""
_IDS = (("patients", "patient_id"), ("admissions", "hadm_id"))


def policies(env: Clinic, domain: str) -> Mapping[str, Policy]:
    """Those of a domain by name: GENERAL, then its own, which decide without what decides."""
    alone = Clinic(ClinicSettings.model_validate({**env.settings.model_dump(), "domains": [domain]}), env.seed)
    found = named(alone, alone.blind())
    general = {ORACLE: found.pop(ORACLE), NULL: found.pop(NULL), RANDOM: _at_random(alone)}
    return {**general, **found}


def shared(env: Clinic, domains: Sequence[str]) -> list[str]:
    """The names that all of these domains have."""
    known = [policies(env, domain) for domain in domains]
    return [name for name in known[0] if all(name in others for others in known)]


def _at_random(env: Clinic) -> Policy:
    """Calls about the case's own patient and stay until one of them is an answer; the same each time."""

    def begin(labelled: LabelledTask) -> Act:
        rng = random.Random(f"random:{labelled.task.task_id}")
        tools = env.offered(env.kit(labelled.task))
        world: dict[str, Any] = labelled.task.context["world"]
        known = {name: world[rows][0][name] for rows, name in _IDS if world[rows]}
        return lambda _: render(random_call(rng, tools, known), env.settings.call_syntax)

    return begin

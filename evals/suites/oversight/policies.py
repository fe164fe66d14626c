"""Policies without a model, on the same trials: the ceiling, and what an audit without reading scores."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial
from typing import Any

from envs.contract.calls import Call, render
from envs.oversight.attribution import FEATURES
from envs.oversight.blind import Desk, beginning
from envs.oversight.cohort_test import GROUPS, OUTCOMES
from envs.oversight.environment import Oversight
from envs.oversight.oracle import Audit
from envs.oversight.tools import COHORT, INVESTIGATE, REVIEW, SHAP, TEMPORAL
from envs.oversight.trial import BIASES, TYPES
from evals.core.played import Policy
from evals.core.policies import RANDOM, named

HEURISTIC = "heuristic"
_HEURISTIC = "low confidence"
"""The heuristic of the source, as the game calls it: flags below a confidence of .85."""


def policies(env: Oversight) -> Mapping[str, Policy]:
    """All by name, the oracle first; every other one decides without reading, or as if it had not."""
    blind = dict(env.blind())
    source = blind.pop(_HEURISTIC)
    return named(env, {RANDOM: partial(beginning, _random, partial(_write, env)), HEURISTIC: source, **blind})


def _write(env: Oversight, tool: str, **arguments: Any) -> str:
    return render(Call(name=tool, arguments=arguments), env.settings.call_syntax)


def _random(desk: Desk) -> Audit:
    """Calls that fit, at random, until the report is drawn; the same on every audit of a trial."""
    rng = random.Random(f"{desk.listed}")
    submitted = False
    while not submitted:
        one, number = rng.choice(desk.listed), rng.randrange(8)
        submitted = number == 7
        yield (
            desk.write(REVIEW, proposal_id=one.proposal_id),
            desk.write(INVESTIGATE, patient_id=one.patient_id),
            desk.write(SHAP, patient_id=one.patient_id, feature=rng.choice(FEATURES)),
            desk.write(COHORT, feature=rng.choice(tuple(GROUPS)), outcome=rng.choice(tuple(OUTCOMES))),
            desk.write(TEMPORAL, patient_id=one.patient_id),
            desk.flag(one, rng.choice(TYPES)),
            desk.approve(one),
            desk.report([two for two in desk.listed if rng.random() < 0.5], rng.choice(TYPES), rng.choice(BIASES)),
        )[number]

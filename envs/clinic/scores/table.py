"""All scores by name."""

from __future__ import annotations

from envs.clinic.scores import abdomen, bedside, chemistry, chest, heart, kidney, nerves, organ_failure
from envs.clinic.scores.score import Score

_MODULES = (organ_failure, bedside, heart, kidney, chest, abdomen, chemistry, nerves)
SCORES: dict[str, Score] = {score.name: score for module in _MODULES for score in module.SCORES}

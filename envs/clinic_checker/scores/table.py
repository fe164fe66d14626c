"""All scores of the checker by name. Each takes inputs as JSON gives them."""

from __future__ import annotations

from collections.abc import Callable

from envs.clinic_checker.scores import abdominal, cardiac, critical, laboratory, neural, renal, thoracic
from envs.clinic_checker.scores.numbers import Found, Raw

_MODULES = (critical, cardiac, renal, thoracic, abdominal, laboratory, neural)
FOUND: dict[str, Callable[[Raw], Found]] = {name: found for module in _MODULES for name, found in module.FOUND.items()}

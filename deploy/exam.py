"""The verifier's exam at the start of a run: whether tier C, errors proposed by the model itself, may be injected."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

import msgspec

from actors.scribe import verifying
from envs.env import Complete, Environment
from envs.verdict.verifier import FALSE, RIGHT, ExamResult

PLANNED = (
    f"# tier C          waits for its exam before the Scribes start: {RIGHT:.0%} of the held-out errors found, at most "
    f"{FALSE:.0%} of synonyms called errors\n"
)


class Examining(Protocol):
    """An environment with an exam for the verifier; RunSpec asks for `tier_c` only where there is one."""

    async def exam(self, ask: Complete) -> ExamResult:
        """Ask the verifier what is known already."""


async def sit(env: Environment, pool: Any, path: Path, note: Callable[[str], None]) -> bool:
    """Examine the frozen `pool`, tell the result, write it to `path`; whether it passed."""
    result = await cast(Examining, env).exam(verifying(pool))
    path.write_text(json.dumps({**msgspec.to_builtins(result), "passed": result.passed}) + "\n")
    note(str(result) if result.passed else f"{result}; going on without tier C")
    return result.passed

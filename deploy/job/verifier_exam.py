"""The verifier's exam at the start of a run: whether tier C, errors proposed by the model itself, may be injected."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

import msgspec

from actors.scribe import verifying
from common.config import RunSpec
from common.files import write_whole
from envs.contract.env import Complete, Environment
from envs.verdict.scribe.verifier import FALSE, RIGHT, ExamResult

FILE = "exam.json"


class Examining(Protocol):
    """An environment with an exam for the verifier; RunSpec asks for `tier_c` only where there is one."""

    async def exam(self, ask: Complete) -> ExamResult:
        """Ask the verifier what is known already."""


def planned(spec: RunSpec) -> str:
    """What the plan says of tier C: what is asked of the verifier, and how the same one did in the newest run."""
    line = (
        f"exam before the Scribes start: {RIGHT:.0%} of the held-out errors found, at most {FALSE:.0%} of synonyms "
        "called errors"
    )
    written = sorted(spec.runs.expanduser().glob(f"*/{FILE}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in written:
        sat = json.loads(path.read_text())
        if sat["of"] == _verifier(spec):
            return f"{line}; {msgspec.convert(sat['result'], ExamResult)}, in run {path.parent.name}"
    return line


async def sit(env: Environment, pool: Any, spec: RunSpec, folder: Path, note: Callable[[str], None]) -> bool:
    """Examine the frozen `pool`, tell the result, write it into the run's `folder`; whether it passed."""
    result = await cast(Examining, env).exam(verifying(pool))
    written = {"result": msgspec.to_builtins(result), "passed": result.passed, "of": _verifier(spec)}
    write_whole(folder / FILE, json.dumps(written).encode() + b"\n")
    without = "without tier C, so the Scribe learns nothing" if spec.scribe.train else "without tier C"
    note(str(result) if result.passed else f"{result}; going on {without}")
    return result.passed


def _verifier(spec: RunSpec) -> dict[str, Any]:
    """What its weights and its questions follow from."""
    return spec.model_dump(mode="json", include={"model", "warm_up", "envs", "seed"})

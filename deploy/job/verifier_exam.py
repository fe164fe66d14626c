"""The verifier's exam at the start of a run: whether tier C, errors proposed by the model itself, may be injected."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from actors.handles import PoolHandle
from actors.scribe import verifying
from common.config import RunSpec
from common.files import parse_json, read_bytes, write_whole
from common.paths import path_of
from envs.contract.env import Environment
from envs.contract.reports import reports_of

FILE = "exam.json"


def planned(spec: RunSpec) -> str:
    """What the plan says of tier C: what is asked of the verifier, and how the same one did in the newest run."""
    required = "; ".join(report.exam for report in reports_of(spec).values() if report.exam)
    line = f"exam before the Scribes start: {required}"
    written = sorted(path_of(spec.runs).glob(f"*/{FILE}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in written:
        sat = _written(path)
        if sat.get("of") == _verifier(spec) and "summary" in sat:
            return f"{line}; {sat['summary']}, in run {path.parent.name}"
    return line


def _written(path: Path) -> dict[str, Any]:
    """A run's exam.json; nothing where it is damaged, or not ours to read."""
    try:
        found = parse_json(read_bytes(path))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def run_exam(
    env: Environment, pool: PoolHandle, spec: RunSpec, folder: Path, tell: Callable[[str], None]
) -> bool:
    """Examine the frozen `pool`, tell the result, write it into the run's `folder`; whether it passed."""
    result = await env.exam(verifying(pool))
    written = {
        "result": result.figures,
        "summary": result.summary,
        "passed": result.passed,
        "of": _verifier(spec),
    }
    write_whole(folder / FILE, json.dumps(written).encode() + b"\n")
    without = "without tier C, so the Scribe learns nothing" if spec.scribe.train else "without tier C"
    tell(result.summary if result.passed else f"{result.summary}; going on {without}")
    return result.passed


def _verifier(spec: RunSpec) -> dict[str, Any]:
    """What its weights and its questions follow from."""
    own = next((pool.model for pool in spec.pools if pool.frozen), None)
    return {**spec.model_dump(mode="json", include={"model", "warm_up", "envs", "seed"}), "own": own}

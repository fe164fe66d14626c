"""CUDA engines start: vLLM's own argument and memory checks, on cards that a stand-in for its platform answers for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.actors.engine_cases import ROOT

pytestmark = pytest.mark.integration

SPECS = {path.stem for path in Path("deploy/specs").glob("*.yaml")}
MOMENTS = {"first start", "resume", "restart"}


@pytest.fixture(scope="module")
def starts() -> list[dict[str, Any]]:
    """One row for each engine that a plan names first in its pool, and moment."""
    path = os.pathsep.join([str(ROOT / "tests" / "fakes"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "tests.actors.engine_starts_case"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "VLLM_LOGGING_LEVEL": "ERROR", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    lines = (line for line in done.stdout.splitlines() if line.startswith("START "))
    return [json.loads(line.removeprefix("START ")) for line in lines]


def test_every_engine_of_every_spec_passes_vllms_checks_at_each_of_its_starts(starts: list[dict[str, Any]]) -> None:
    assert {row["spec"] for row in starts} == SPECS
    assert {(row["spec"], row["moment"]) for row in starts} == {(s, moment) for s in SPECS for moment in MOMENTS}
    assert [row for row in starts if row["refused"] or row["cache"]] == []


def test_with_vllms_own_share_of_the_card_none_would_start_beside_a_learner(starts: list[dict[str, Any]]) -> None:
    refusals = {(row["spec"], row["moment"]): row["refused_by_default"] for row in starts}
    for spec in ("rtx4090", "oversight_4090"):
        for moment in MOMENTS:
            assert "is less than desired GPU memory utilization (0.92" in refusals[spec, moment]
    assert not any(refusals["node8", moment] for moment in MOMENTS), "there each engine has a card of its own"

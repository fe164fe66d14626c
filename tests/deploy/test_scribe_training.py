"""A whole run with a trained Scribe: real Ray, real vLLM, real DeepSpeed, on the tiny model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.config import RunSpec
from common.metrics import ROYALTIES, SCRIBE_STEPS, Board
from deploy import selfplay
from deploy.job.start import starting_point
from deploy.report.run_log import RunLog
from envs.contradiction.spec import ContradictionSettings
from learner import checkpoint
from tests.deploy.authoring_env import Authoring

STEPS = 8

pytestmark = [pytest.mark.integration, pytest.mark.timeout(420)]


def spec_of(home: Path, name: str) -> RunSpec:
    content: dict[str, Any] = yaml.safe_load(
        (Path(__file__).parents[2] / "deploy" / "specs" / "smoke.yaml").read_text()
    )
    small = {"engines": 1, "max_num_seqs": 16, "kv_cache_gib": 0.25}
    pools = [{"name": f"{role}s", "serves": [role], **small} for role in ("scribe", "doctor", "verifier")]
    spec = RunSpec.model_validate(
        {
            **content,
            "name": name,
            "steps": STEPS,
            "runs": home / "runs",
            "model": {**content["model"], "dtype": "float32", "cache": home / "cache"},
            "envs": {"verdict": {"data": {"tier_c": True}}},
            "pools": pools,
            "scribe": {"train": True, "phase_steps": 1},
            "warm_up": {"steps": 0},
            "sampling": {"group_size": 4, "max_tokens": 12},
            "buffer": {"capacity": 6},
        }
    )
    # Code verifies in this game, so the run does without the engine of the verifier that the spec had to name.
    return spec.model_copy(update={"pools": spec.pools[:2]})


def test_a_scribe_takes_its_steps_with_the_doctor_and_its_engines_prove_its_own_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    folder, start = starting_point(spec_of(tmp_path, "authors"), resume=False)
    folder.claim()
    board = Board()
    assert selfplay.play(folder, start, Authoring(ContradictionSettings(), 0), board, RunLog()) == 0

    rows = [json.loads(line) for line in (folder.path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1)), "the Doctor's training went on"
    assert all(row["sync_ok"] for row in rows) and all(row["scribe_sync_ok"] for row in rows)
    steps = sum(row["scribe_steps"] for row in rows)
    assert 1 <= steps <= STEPS and rows[-1]["scribe_policy_version"] == steps == board.total(SCRIBE_STEPS)
    assert all(row["scribe_steps"] + row["scribe_starved"] == 1 for row in rows)
    trained = [row for row in rows if row["scribe_steps"]]
    assert all(0 < row["scribe_reward_mean"] < 1 and row["scribe_policy_lag"] <= 1 for row in trained)
    assert all(0 <= row["scribe_success_rate"] <= 1 for row in trained if row["scribe_verified"])
    assert board.total(ROYALTIES, "unverified") > 0
    assert sum(board.total(ROYALTIES, f"{tenth / 10:.1f}") for tenth in range(11)) > 0

    found = checkpoint.newest(folder.path).checkpoint
    assert found is not None and found.manifest.state["scribe"]["policy_version"] == steps
    assert any(name.startswith("scribe/") for name in found.manifest.files)
    assert not list(Path("/dev/shm").glob("medserl-authors-*"))

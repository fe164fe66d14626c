"""Whole runs on the tiny model, with real engines: a frozen verifier of its own that fails its exam, and a warm-up on
own replies."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyarrow import parquet

from common.config import RunSpec
from common.metrics import Board
from deploy import selfplay
from deploy.job.run_folder import RunFolder
from deploy.job.start import starting_point
from deploy.report.run_log import RunLog
from envs.contract import registry
from tests.actors.lettered import lettered_model

pytestmark = [pytest.mark.integration, pytest.mark.timeout(420)]

NOTE = ("A man has fever and a cough.", "Culture grows a pneumococcus.", "He is given amoxicillin.")
SMALL = {"engines": 1, "max_num_seqs": 16, "kv_cache_gib": 0.25}


def spec_of(home: Path, spec: str, **changes: Any) -> RunSpec:
    content: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "deploy" / "specs" / spec).read_text())
    small = {"name": "small", "runs": home / "runs", "steps": 1, "buffer": {"capacity": 6}, "rollout": {}}
    model = {**content["model"], "dtype": "float32", "cache": home / "cache"}
    return RunSpec.model_validate({**content, **small, "model": model, **changes})


def played(spec: RunSpec, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    folder, start = starting_point(spec, resume=False)
    folder.claim()
    env = registry.environment_of(spec.settled.envs, spec.seed)
    assert selfplay.play(folder, start, env, Board(), RunLog()) == 0
    return folder


def test_a_verifier_of_its_own_that_fails_its_exam_leaves_tier_c_out_and_says_so(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pools = [{"name": "engines", "serves": ["scribe", "doctor"], **SMALL}, {"serves": ["verifier"], **SMALL}]
    spec = spec_of(
        tmp_path,
        "smoke.yaml",
        envs={"verdict": {"data": {"tier_c": True}}},
        pools=[pools[0], {**pools[1], "name": "verifier", "model": "base"}],
        warm_up={"steps": 2},
        sampling={"group_size": 2, "max_tokens": 12},
    )
    other = lettered_model(spec, tiny_model, tmp_path / "lettered", NOTE, "He is given warfarin.")
    named = spec.pools[1].model_copy(update={"model": str(other)})
    folder = played(spec.model_copy(update={"pools": (spec.pools[0], named)}), monkeypatch)

    exam = json.loads((folder.path / "exam.json").read_text())
    assert not exam["passed"] and exam["of"]["own"] == str(other)
    result = exam["result"]
    assert result["asked"] > 3 and result["probes"] > 3 and result["silent"] == 0, "every question got log-probs"
    said = " ".join(re.sub(r"[│╭╮╰╯]", " ", capfd.readouterr().out).split())
    assert "verifier exam failed: no margin picks out errors that are 95% right" in said
    assert "going on without tier C" in said
    (rollouts,) = (folder.path / "rollouts").glob("step-*.parquet")
    assert "C" not in parquet.read_table(rollouts)["tier"].to_pylist()


def test_a_warm_up_keeps_the_models_own_right_replies_and_trains_the_model_of_the_run_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = spec_of(
        tmp_path,
        "learns.yaml",
        warm_up={"steps": 150, "batch": 16, "learning_rate": 1e-3, "own": 64},
        learner={"batch_groups": 2, "lora_rank": 0, "zero_stage": 0, "gradient_checkpointing": False},
    )
    folder = played(spec, monkeypatch)
    said = " ".join(capfd.readouterr().out.split())
    found = re.search(r"(\d+) of 64 own replies right, (\d+) demonstrations for kinds with fewer: (\d+) steps", said)
    assert found is not None, said
    right, filled, steps = map(int, found.groups())
    assert right > 2 and steps == -(-(right + filled) // 16)
    assert len(list((tmp_path / "cache" / "warm").glob("own-*.msgpack"))) == 1
    warmed = [path for path in (tmp_path / "cache" / "warm").iterdir() if path.is_dir()]
    assert len(warmed) == 2, "after the demonstrations, and after its own replies"
    (row,) = [json.loads(line) for line in (folder.path / "metrics.jsonl").read_text().splitlines()]
    assert row["sync_ok"] and row["contradiction/valid_share"] > 0

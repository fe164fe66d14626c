"""Who decides `model.dtype: auto`, and what keeps the decision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

from common.backends import Dtype
from common.config import ModelSpec, RunSpec, WeightsSpec
from deploy import cli, plan, selfplay
from deploy.cluster import dtype
from deploy.cluster.dtype import hosts, settled
from deploy.job.run_folder import RunFolder
from deploy.job.start import starting_point
from tests.deploy.cluster.local_cluster import machine, machines
from tests.deploy.test_selfplay import checkpointed

SLOW = Dtype(name="float32", reason="this processor, AMD EPYC, has no bfloat16 instructions")
FAST = Dtype(name="bfloat16", reason="this processor has amx_bf16")
DECIDED = f"model.dtype: float32 (auto: {SLOW.reason})"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dtype, "best_dtype", lambda backend: SLOW)


def node(name: str, address: str, gpus: float = 0, alive: bool = True) -> dict[str, Any]:
    return {"NodeID": name, "NodeManagerAddress": address, "Resources": {"GPU": gpus}, "Alive": alive}


def test_only_nodes_that_engines_and_learner_can_reach_are_asked() -> None:
    nodes = [node("here", "10.0.0.1"), node("card", "10.0.0.2", 8), node("dead", "10.0.0.3", 8, alive=False)]
    assert [found["NodeID"] for found in hosts(RunSpec(), nodes, "here")] == ["here"]
    wide = RunSpec(backend="cuda")
    assert [found["NodeID"] for found in hosts(wide, nodes, "here")] == ["card"]
    near = wide.model_copy(update={"weights": WeightsSpec(transport="adapter")})
    assert hosts(near, nodes, "here") == []


@pytest.mark.parametrize("written", ["auto", "bfloat16"])
def test_the_plan_and_a_dry_run_say_dtype_and_reason_in_one_line(
    written: str, slow: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selfplay, "play", lambda *_: pytest.fail("started"))
    flags = ["deploy/smoke.yaml", "--model.dtype", written, "--runs", str(tmp_path)]
    decided, line = ("float32", DECIDED) if written == "auto" else ("bfloat16", "model.dtype: bfloat16 is emulated, ")
    assert plan.main(flags) == 0
    out = capsys.readouterr().out
    assert out.count("model.dtype") == 1 and line in out and f"x {4 if written == 'auto' else 2} B" in out
    assert selfplay.main([*flags, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert f"\n# {line}" in out and f"dtype: {decided}\n" in out


def test_a_plan_for_other_machines_assumes_cards_that_compute_in_bfloat16(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # of nvidia-smi
    assert plan.main(["deploy/rtx4090.yaml"]) == 0
    assert "model.dtype: bfloat16 (auto: assumed: compute capability 8.0 or newer" in capsys.readouterr().out


def recorded(folder: RunFolder, decided: str) -> None:
    """A run whose spec said auto, after its start."""
    folder.use(folder.spec.concrete(decided))
    folder.record(folder.spec, folder.file)


def test_a_resume_keeps_the_dtype_that_was_decided_at_the_start(slow: None, tmp_path: Path) -> None:
    spec = RunSpec(name="mine", runs=tmp_path)
    checkpointed(tmp_path, 2)
    recorded(RunFolder(spec.settled, tmp_path / "mine", spec), "bfloat16")
    folder, _ = starting_point(spec, True, spec)
    assert (folder.spec.model.dtype, folder.file.model.dtype) == ("bfloat16", "auto")
    assert yaml.safe_load((tmp_path / "mine" / "spec.yaml").read_text())["model"]["dtype"] == "bfloat16"
    again, _ = starting_point(cli.load(tmp_path / "mine" / "spec.yaml"), True)
    assert again.spec.model.dtype == "bfloat16"


@pytest.mark.integration
def test_a_cluster_is_asked_node_by_node_and_takes_what_all_compute_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = {"new": "NVIDIA H100 80GB HBM3, 9.0", "old": "Tesla T4, 7.5"}
    for name, line in cards.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "nvidia-smi").write_text(f"#!/bin/sh\necho '{line}'\n")
        (tmp_path / name / "nvidia-smi").chmod(0o755)
    spec = RunSpec(backend="cuda")
    with machines(0) as cluster:
        assert "assumed" in settled(spec)[1], "no machine with GPUs has joined yet"
        for name in cards:
            path = f"{tmp_path / name}:/usr/bin:/bin"
            machine(cluster, 1, node_name=name, env_vars={"PATH": path})
        assert len(ray.nodes()) == 3
        decided, said = settled(spec)
        assert decided.model.dtype == "float32"
        assert said == (
            "model.dtype: float32 (auto: node old: Tesla T4 has compute capability 7.5, and bfloat16 needs 8.0; "
            "float32 works there)"
        )
        with pytest.raises(ValueError, match=r"model\.dtype bfloat16: node old: Tesla T4"):
            settled(RunSpec(backend="cuda", model=ModelSpec(dtype="bfloat16")))


def test_a_processor_that_emulates_what_was_written_is_reported_and_obeyed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for found, said in ((SLOW, "model.dtype: bfloat16 is emulated"), (FAST, "")):
        monkeypatch.setattr(dtype, "_found", lambda spec, found=found: found)
        spec, line = settled(RunSpec(model=ModelSpec(dtype="bfloat16")))
        assert spec.model.dtype == "bfloat16" and line.startswith(said) and "\n" not in line
        assert bool(line) == bool(said)

"""The settings that DeepSpeed gets from a spec: built and stepped on the CPU, with a tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from common.config import RunSpec
from deploy import cli
from learner.deepspeed_engine import deepspeed_config, deepspeed_stage
from learner.rank import LearnerRank
from tests.learner.rank_cases import make_group, make_group_of_turns, make_model, make_spec, weights_of

SPECS = sorted(Path("deploy/specs").glob("*.yaml"))
GROUPS = [make_group(at) for at in range(4)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("tiny"))


def on_one_cpu_rank(spec: RunSpec, stage: int) -> RunSpec:
    """The spec's learner in the spec's dtype (bfloat16 where a card or a processor decides), on a group length, a rank
    and a backend that a test has."""
    tiny = make_spec(context=64)
    learner = spec.learner.model_copy(update={"zero_stage": stage, "ranks": 1, "batch_groups": 4, "row_tokens": 0})
    dtype = "bfloat16" if spec.model.dtype == "auto" else spec.model.dtype
    model = tiny.model.model_copy(update={"dtype": dtype})
    small = {"backend": "cpu", "learner": learner, "sampling": tiny.sampling, "model": model, "scribe": tiny.scribe}
    return spec.model_copy(update=small)


@pytest.mark.integration
@pytest.mark.parametrize("stage", [0, 1, 2, 3])
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_spec_that_ships_takes_a_step_at_every_stage(
    path: Path, stage: int, model: Path, rendezvous: str
) -> None:
    spec = on_one_cpu_rank(cli.load(path), stage)
    learner = LearnerRank(spec, model, 0, 1, rendezvous)
    before = weights_of(learner)
    report = learner.step(GROUPS)
    assert report.step == 1 and 0 < report.grad_norm < float("inf")
    after = weights_of(learner)
    assert all(torch.isfinite(tensor).all() for tensor in after.values())
    if spec.model.dtype == "float32":  # a first step is too small for the eight bits of bfloat16
        assert any(not torch.equal(tensor, after[name]) for name, tensor in before.items())
    engine = learner._engine
    assert engine.zero_optimization_stage() == deepspeed_stage(spec)
    assert engine.bfloat16_enabled() == (spec.model.dtype == "bfloat16")
    assert engine.gradient_clipping() == spec.learner.max_grad_norm


@pytest.mark.integration
@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_gradients_of_many_rows_are_added_up_in_float32(stage: int, model: Path, rendezvous: str) -> None:
    """Sixteen times the same row has the gradient of one, each time times a sixteenth, which any format holds.
    Added in bfloat16, of eight bits, the sum is off by a percent."""
    once, often = (gradient(model, rendezvous, stage, times) for times in (1, 16))
    assert once.keys() == often.keys() and len(once) > 10
    for name, tensor in once.items():
        assert (often[name] - tensor).abs().max() < 1e-4 * tensor.abs().max(), name


def gradient(model: Path, rendezvous: str, stage: int, times: int) -> dict[str, torch.Tensor]:
    """Of that many equal groups after `accumulate`, whole and in float32. Each has a row of its own."""
    from deepspeed.utils import safe_get_full_grad

    group = make_group_of_turns(0)
    tokens = sum(len(s.completion.token_ids) + len(s.observed) for r in group.rollouts for s in r.steps)
    spec = make_spec(context=tokens, zero_stage=stage, dtype="bfloat16", lora_rank=0, kl_coef=0)
    learner = LearnerRank(spec, model, 0, 1, rendezvous)
    learner.accumulate([group] * times)
    trained = [(n, p) for n, p in learner._policy.module.named_parameters() if p.requires_grad]
    return {name: safe_get_full_grad(parameter).float().clone() for name, parameter in trained}


@pytest.mark.integration
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_an_offloaded_optimizer_takes_the_same_steps(stage: int, model: Path, rendezvous: str) -> None:
    moved = []
    for offload in (False, True):
        spec = make_spec(zero_stage=stage, dtype="bfloat16", offload_optimizer=offload)
        learner = LearnerRank(spec, model, 0, 1, rendezvous)
        norms = [learner.step(GROUPS).grad_norm for _ in range(2)]
        moved.append((norms, weights_of(learner)))
    (norms, here), (offloaded_norms, there) = moved
    assert offloaded_norms == pytest.approx(norms, rel=2e-2)
    assert all((here[name] - there[name]).abs().max() < 0.02 for name in here)


def test_offload_is_asked_for_by_the_spec_alone() -> None:
    spec = make_spec(zero_stage=2, offload_optimizer=True)
    cuda = spec.model_copy(update={"backend": "cuda"})
    assert deepspeed_config(cuda, 10)["zero_optimization"]["offload_optimizer"] == {"device": "cpu", "pin_memory": True}
    assert "offload_optimizer" not in deepspeed_config(make_spec(), 10)["zero_optimization"]
    with pytest.raises(ValueError, match="offload_optimizer needs zero_stage 1, 2 or 3"):
        make_spec(zero_stage=0, offload_optimizer=True)

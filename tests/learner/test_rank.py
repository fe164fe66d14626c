from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from common.backends import CPU
from common.config import RunSpec
from common.records import Group, Sampled
from learner.rank import LearnerRank, warm_up_factor
from learner.rows import rows_of
from tests.learner.rank_cases import free_address, make_group, make_group_of_turns, make_model, make_spec, weights_of

GROUPS = [make_group(at) for at in range(4)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("tiny"))


def alone(spec: RunSpec, model: Path, rendezvous: str) -> LearnerRank:
    return LearnerRank(spec, model, 0, 1, rendezvous)


def separate_rows_logps(module: Any, group: Group) -> list[torch.Tensor]:
    """The sampled tokens' log-probs, each episode in a forward of its own: nothing shared with the packed path."""
    result = []
    for rollout in group.rollouts:
        ids, sampled = group.prompt_ids.tolist(), list[int]()
        for step in rollout.steps:
            sampled += range(len(ids), len(ids) + len(step.completion.token_ids))
            ids += [*step.completion.token_ids.tolist(), *step.observed.tolist()]
        logp_TV = module(torch.tensor([ids])).logits[0].float().log_softmax(-1)
        result.append(torch.stack([logp_TV[at - 1, ids[at]] for at in sampled]))
    return result


def plain_torch_step(module: Any, spec: RunSpec, groups: list[Group], start: Any, optimizer: Any) -> float:
    """REINFORCE++-baseline written out with one forward a completion and torch's own clipping; the gradient norm."""
    ratios, rewards, engines = [], [], []
    for group in groups:
        mean = sum(r.reward.total for r in group.rollouts) / len(group.rollouts)
        for rollout, logp, ref in zip(
            group.rollouts, separate_rows_logps(module, group), separate_rows_logps(start, group), strict=True
        ):
            engine = torch.cat([torch.tensor(step.completion.logps) for step in rollout.steps])
            reward = -spec.learner.kl_coef * (engine - ref.detach())
            reward[-1] += rollout.reward.total - mean
            rewards.append(reward.flip(0).cumsum(0).flip(0))
            ratios.append((logp - logp.detach()).exp())
            engines.append((logp.detach() - engine).exp().clamp(0.0, 5.0))
    returns = torch.cat(rewards)
    advantages = (returns - returns.mean()) / returns.var(correction=0).sqrt()
    loss = -(torch.cat(engines) * torch.cat(ratios) * advantages).mean()
    optimizer.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], 1.0)
    optimizer.step()
    return float(norm)


@pytest.mark.integration
@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_a_full_training_step_equals_plain_torch_on_separate_rows(model: Path, rendezvous: str, stage: int) -> None:
    assert_equals_plain_torch(make_spec(zero_stage=stage, lora_rank=0), GROUPS, model, rendezvous)


@pytest.mark.integration
def test_a_step_on_episodes_of_many_turns_equals_plain_torch_on_separate_rows(model: Path, rendezvous: str) -> None:
    """The rows are so short that some groups are cut."""
    groups = [make_group_of_turns(at) for at in range(4)]
    spec = make_spec(context=64, zero_stage=0, lora_rank=0)
    assert len(rows_of(groups, 80)) > len(groups), "else no group was cut"
    assert_equals_plain_torch(spec, groups, model, rendezvous)


def assert_equals_plain_torch(spec: RunSpec, groups: list[Group], model: Path, rendezvous: str) -> None:
    from transformers import AutoModelForCausalLM

    learner = alone(spec, model, rendezvous)
    plain, start = (AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32) for _ in range(2))
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-2, betas=(0.9, 0.95), weight_decay=0.0)
    for _ in range(2):
        learner.accumulate(groups)
        learner.canary((1, 2, 3, 4))  # scoring before the step must leave its gradient alone
        report = learner.apply()
        norm = plain_torch_step(plain, spec, groups, start, optimizer)
        assert report.grad_norm == pytest.approx(norm, rel=1e-4)
    ours, theirs = weights_of(learner), dict(plain.named_parameters())
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        # Adam divides by the gradient's own size, so an element with next to no gradient moves by rounding noise.
        assert (ours[name] - tensor).abs().max() < 0.02 * 1e-2, name


@pytest.mark.integration
@pytest.mark.parametrize("lora_rank", [0, 4])
@pytest.mark.parametrize(
    ("stage", "dtype"), [(0, "bfloat16"), (1, "bfloat16"), (2, "bfloat16"), (3, "bfloat16"), (2, "float32")]
)
def test_a_resumed_learner_continues_bit_for_bit(
    model: Path, rendezvous: str, tmp_path: Path, stage: int, dtype: str, lora_rank: int
) -> None:
    spec = make_spec(zero_stage=stage, dtype=dtype, lora_rank=lora_rank)
    first = alone(spec, model, rendezvous)
    first.step(GROUPS)
    first.save(tmp_path)
    resumed = alone(spec, model, rendezvous)
    resumed.load(tmp_path)
    assert resumed.version == 1
    assert first.canary(range(9)) == resumed.canary(range(9))
    reports = [learner.step(GROUPS) for learner in (first, resumed)]
    assert reports[0].grad_norm == reports[1].grad_norm
    theirs = weights_of(resumed)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in weights_of(first).items())


@pytest.mark.integration
def test_two_ranks_take_the_same_steps_as_one(model: Path, tmp_path: Path) -> None:
    results = {}
    for world in (1, 2):
        address, out = free_address(), tmp_path / str(world)
        out.mkdir()
        command = [sys.executable, "-m", "tests.learner.rank_cases"]
        ranks = [
            subprocess.Popen(
                [*command, str(rank), str(world), address, str(model), str(out), "2", "3"],
                env={**os.environ, **CPU.learner_env, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.DEVNULL,
                stderr=(out / f"{rank}.err").open("w"),
            )
            for rank in range(world)
        ]
        codes = [rank.wait(timeout=300) for rank in ranks]
        assert codes == [0] * world, "\n".join((out / f"{rank}.err").read_text()[-2000:] for rank in range(world))
        results[world] = [torch.load(out / f"rank-{rank}.pt", weights_only=True) for rank in range(world)]
    one, (two, other) = results[1][0]["2"], (shard["2"] for shard in results[2])
    for stage in ("2", "3"):
        for run in (results[1][0][stage], results[2][0][stage], results[2][1][stage]):
            assert run["reports"][1] == pytest.approx(one["reports"][1], rel=1e-4)
            for name, tensor in one["weights"].items():
                assert (run["weights"][name] - tensor).abs().max() < 0.02 * 1e-2, (stage, name)
                assert torch.equal(run["weights"][name], run["resumed"][name]), (stage, name)
    assert two["canary"] == other["canary"] == pytest.approx(one["canary"], abs=1e-4)


@pytest.mark.integration
def test_the_report_describes_the_step(model: Path, rendezvous: str) -> None:
    learner = alone(make_spec(), model, rendezvous)
    learner.step(GROUPS)
    report = learner.step([*GROUPS[:3], make_group(9, version=1)])
    assert (report.step, report.policy_version, report.policy_lag) == (2, 2, 1)
    assert (report.groups, report.completions) == (4, 12)
    assert report.reward_components["structure"] == pytest.approx(0.1)
    assert report.reward_mean == pytest.approx(sum(report.reward_components.values()))
    assert report.kl_to_reference is not None
    assert set(report.weights) == {"effective_sample_size", "mismatch_kl", "share_clamped", "mean_abs_logp_difference"}
    assert set(report.seconds) == {"reference", "forward", "backward", "optimizer", "step"}


@pytest.mark.integration
def test_engine_and_learner_agree_when_the_engine_is_the_policy(model: Path, rendezvous: str) -> None:
    """Log-probs taken from the canary stand in for an engine that holds exactly these weights."""
    from msgspec.structs import replace

    learner = alone(make_spec(kl_coef=0), model, rendezvous)

    def honest(group: Group) -> Group:
        rollouts = []
        for rollout in group.rollouts:
            ids = (*group.prompt_ids, *rollout.steps[0].completion.token_ids)
            logps = learner.canary(ids)[len(group.prompt_ids) - 1 :]
            (step,) = rollout.steps
            completion = replace(step.completion, logps=logps)
            rollouts.append(replace(rollout, steps=(replace(step, completion=completion),)))
        return replace(group, rollouts=tuple(rollouts))

    fresh = honest(GROUPS[0])
    sampled = Sampled(prompt_ids=fresh.prompt_ids, completions=tuple(r.steps[0].completion for r in fresh.rollouts))
    assert learner.logp_difference([sampled]) == pytest.approx(0, abs=1e-5)
    report = learner.step([honest(group) for group in GROUPS])
    assert report.weights["effective_sample_size"] == pytest.approx(1, abs=1e-5)
    assert report.kl_to_reference is None


@pytest.mark.integration
@pytest.mark.parametrize("estimator", ["k2", "k3"])
def test_a_kl_loss_pulls_the_policy_back(model: Path, rendezvous: str, estimator: str) -> None:
    pulled, free = (alone(make_spec(kl_estimator=estimator, kl_coef=kl), model, rendezvous) for kl in (50.0, 0.0))
    start = torch.tensor(pulled.canary(range(12)))
    for learner in (pulled, free):
        for _ in range(6):
            learner.step(GROUPS)
    moved = [float((torch.tensor(learner.canary(range(12))) - start).abs().mean()) for learner in (pulled, free)]
    assert moved[0] < 0.85 * moved[1]


@pytest.mark.integration
def test_rotary_frequencies_stay_float32_in_a_bfloat16_learner(model: Path, rendezvous: str) -> None:
    learner = alone(make_spec(dtype="bfloat16"), model, rendezvous)
    buffers = {name: buffer.dtype for name, buffer in learner._policy.module.named_buffers() if "inv_freq" in name}
    assert buffers and set(buffers.values()) == {torch.float32}


@pytest.mark.integration
def test_the_saved_model_is_the_published_policy(model: Path, rendezvous: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    learner = alone(make_spec(), model, rendezvous)
    learner.step(GROUPS)
    learner.step(GROUPS)
    learner.save_model(tmp_path)
    published, saved = weights_of(learner), AutoModelForCausalLM.from_pretrained(tmp_path).state_dict()
    assert set(saved) - set(published) <= {"lm_head.weight"}  # tied to the embedding
    assert all(torch.equal(tensor, saved[name]) for name, tensor in published.items())
    assert (tmp_path / "tokenizer.json").read_text() == "{}"
    assert (tmp_path / "adapter" / "adapter_config.json").is_file()
    from peft import PeftModel

    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    merged = PeftModel.from_pretrained(base, tmp_path / "adapter").merge_and_unload().state_dict()
    assert all(torch.allclose(published[name], merged[name], atol=1e-6) for name in published)


@pytest.mark.integration
@pytest.mark.parametrize("file", ["mp_rank_00_model_states.pt", "random-0.safetensors"])
def test_a_full_disk_is_an_os_error_and_the_learner_continues(
    model: Path, rendezvous: str, tmp_path: Path, file: str
) -> None:
    learner = alone(make_spec(), model, rendezvous)
    (tmp_path / "full" / "learner").mkdir(parents=True)
    (tmp_path / "full" / "learner" / file).symlink_to("/dev/full")
    with pytest.raises(OSError, match=str(tmp_path / "full")):
        learner.save(tmp_path / "full")
    learner.step(GROUPS)
    learner.save(tmp_path / "whole")
    resumed = alone(make_spec(), model, rendezvous)
    resumed.load(tmp_path / "whole")
    assert resumed.version == 1


class Evil:
    """A pickle of it writes a file when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


@pytest.mark.integration
@pytest.mark.parametrize("file", ["mp_rank_00_model_states.pt", "zero_pp_rank_0_mp_rank_00_optim_states.pt"])
def test_a_checkpoint_that_would_run_code_is_not_loaded(
    model: Path, rendezvous: str, tmp_path: Path, file: str
) -> None:
    learner, mark = alone(make_spec(), model, rendezvous), tmp_path / "ran"
    learner.save(tmp_path / "saved")
    path = tmp_path / "saved" / "learner" / file
    content = torch.load(path, weights_only=False)
    torch.save({**content, "evil": Evil(mark)}, path)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        learner.load(tmp_path / "saved")
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists(), "the attack itself must work"


@pytest.mark.integration
def test_a_checkpoint_whose_weights_are_no_numbers_is_not_loaded(model: Path, rendezvous: str, tmp_path: Path) -> None:
    learner = alone(make_spec(zero_stage=0), model, rendezvous)
    learner.save(tmp_path / "saved")
    path = tmp_path / "saved" / "learner" / "mp_rank_00_model_states.pt"
    content = torch.load(path, weights_only=False)
    weight = next(weight for name, weight in content["module"].items() if "lora_A" in name)
    weight.view(-1)[0] = float("nan")
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"saved cannot be resumed from, delete it: .*the weight .*lora_A"):
        learner.load(tmp_path / "saved")


@pytest.mark.integration
@pytest.mark.parametrize("left", [0, 5, 100])
def test_a_checkpoint_whose_safetensors_are_cut_is_one_line_that_names_the_file(
    model: Path, rendezvous: str, tmp_path: Path, left: int
) -> None:
    learner = alone(make_spec(), model, rendezvous)
    learner.save(tmp_path / "saved")
    path = tmp_path / "saved" / "learner" / "random-0.safetensors"
    assert path.stat().st_size > 100
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(ValueError, match=r"random-0\.safetensors is damaged \(.*: delete .*saved to") as caught:
        learner.load(tmp_path / "saved")
    assert "\n" not in str(caught.value)


@pytest.mark.integration
def test_a_checkpoint_of_other_ranks_is_refused(model: Path, rendezvous: str, tmp_path: Path) -> None:
    learner = alone(make_spec(), model, rendezvous)
    learner.save(tmp_path)
    (tmp_path / "learner" / "random-1.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match=r"saved by 2 learner ranks: set learner.ranks to that, not 1"):
        learner.load(tmp_path)


def test_the_learning_rate_rises_over_the_first_steps_then_stays() -> None:
    assert [warm_up_factor(step, 0) for step in (1, 2)] == [1.0, 1.0]
    assert [warm_up_factor(step, 1) for step in (1, 2, 3)] == [0.5, 1.0, 1.0]

"""A rank and numbers that are none: refused by name, never trained on, published or checkpointed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from common.config import RunSpec
from common.records import Group
from learner.finite_weights import finite, first_not_finite
from learner.rank import LearnerRank
from learner.shares import is_uniform
from tests.learner.groups import group_of_turns
from tests.learner.rank_cases import make_group, make_model, make_spec, weights_of

GROUPS = [make_group(at) for at in range(4)]
NAN = float("nan")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("tiny"))


def alone(spec: RunSpec, model: Path, rendezvous: str) -> LearnerRank:
    return LearnerRank(spec, model, 0, 1, rendezvous)


def changed(group: Group, episode: int, *, logp: float | None = None, total: float | None = None) -> Group:
    """With another first log-prob, or another reward, of one episode."""
    rollouts = list(group.rollouts)
    one = rollouts[episode]
    if logp is not None:
        completion = replace(one.steps[0].completion, logps=(logp, *one.steps[0].completion.logps[1:]))
        one = replace(one, steps=(replace(one.steps[0], completion=completion), *one.steps[1:]))
    if total is not None:
        one = replace(one, reward=replace(one.reward, total=total))
    rollouts[episode] = one
    return replace(group, rollouts=tuple(rollouts))


def uniform(total: float, groups: Sequence[Group] = GROUPS) -> list[Group]:
    made = list(groups)
    for at, group in enumerate(made):
        for episode in range(len(group.rollouts)):
            made[at] = group = changed(group, episode, total=total)
    return made


def moved(before: dict[str, Tensor], rank: LearnerRank) -> float:
    """The largest change of a published weight."""
    return max(float((tensor - before[name]).abs().max()) for name, tensor in weights_of(rank).items())


@pytest.mark.integration
@pytest.mark.parametrize(
    ("dtype", "stage"), [("bfloat16", 2), ("bfloat16", 0), ("float32", 2), ("float32", 0), ("float32", 3)]
)
@pytest.mark.parametrize("bad", [NAN, -math.inf])
def test_a_group_with_a_number_that_is_none_is_refused_by_rank_task_and_engine(
    model: Path, rendezvous: str, dtype: str, stage: int, bad: float
) -> None:
    rank = alone(make_spec(dtype=dtype, zero_stage=stage), model, rendezvous)
    before = weights_of(rank)
    with pytest.raises(ValueError, match=rf"learner rank 0: task task-1, episode 2, turn 0: .* engine e0 is {bad}"):
        rank.step([GROUPS[0], changed(GROUPS[1], 2, logp=bad), *GROUPS[2:]])
    with pytest.raises(ValueError, match=r"learner rank 0: task task-0, episode 1: the total is inf in its reward"):
        rank.step([changed(GROUPS[0], 1, total=math.inf), *GROUPS[1:]])
    assert rank.version == 0 and moved(before, rank) == 0.0
    assert not rank.step(GROUPS).skipped and moved(before, rank) > 0.0


@pytest.mark.integration
@pytest.mark.parametrize(
    ("dtype", "stage"), [("bfloat16", 2), ("bfloat16", 0), ("float32", 1), ("float32", 2), ("float32", 0)]
)
def test_a_gradient_that_is_no_number_moves_nothing_and_the_step_after_it_is_sound(
    model: Path, rendezvous: str, dtype: str, stage: int
) -> None:
    rank = alone(make_spec(dtype=dtype, zero_stage=stage, warmup_steps=3), model, rendezvous)
    spoilt = next(p for p in rank._policy.module.parameters() if p.requires_grad)
    hook = spoilt.register_hook(lambda gradient: gradient * NAN)
    before = weights_of(rank)
    report = rank.step(GROUPS)
    assert "learner rank 0: the gradient" in report.skipped and "norm of" in report.skipped
    if stage == 0 and dtype == "float32":
        assert "lora_A" in report.skipped, "the tensor is named where gradients are whole"
    assert (rank.version, report.learning_rate) == (1, 0.0) and moved(before, rank) == 0.0
    hook.remove()
    after = rank.step(GROUPS)
    assert not after.skipped and math.isfinite(after.grad_norm) and moved(before, rank) > 0.0
    assert after.learning_rate == pytest.approx(1e-2 / 4), "the warm-up of the rate counts no skipped step"


@pytest.mark.integration
def test_a_loss_that_is_no_number_is_named_with_its_tasks(model: Path, rendezvous: str) -> None:
    rank = alone(make_spec(zero_stage=0), model, rendezvous)
    norm = next(m for name, m in rank._policy.module.named_modules() if name.endswith("model.norm"))
    spoil = norm.register_forward_hook(lambda _, __, out: out * NAN)
    before = weights_of(rank)
    report = rank.step(GROUPS)
    assert report.skipped.startswith("learner rank 0, tasks task-") and "the loss is nan" in report.skipped
    assert moved(before, rank) == 0.0
    spoil.remove()
    assert not rank.step(GROUPS).skipped


@pytest.mark.integration
def test_weights_that_are_no_numbers_are_neither_saved_nor_compared_with_engines(
    model: Path, rendezvous: str, tmp_path: Path
) -> None:
    rank = alone(make_spec(zero_stage=0), model, rendezvous)
    rank.step(GROUPS)
    name, weight = next((n, p) for n, p in rank._policy.module.named_parameters() if p.requires_grad)
    with torch.no_grad():
        weight[0, 0] = math.inf
    with pytest.raises(ValueError, match=rf"learner rank 0: the weight {name} is not finite"):
        rank.save(tmp_path / "broken")
    assert not (tmp_path / "broken").exists()
    norm = next(m for name, m in rank._policy.module.named_modules() if name.endswith("model.norm"))
    norm.register_forward_hook(lambda _, __, out: out * NAN)
    with pytest.raises(ValueError, match=r"learner rank 0, policy_version 1: the log-prob of canary token 1 is nan"):
        rank.canary(range(9))


@pytest.mark.integration
def test_a_batch_without_a_difference_moves_nothing_at_all_without_a_kl(model: Path, rendezvous: str) -> None:
    rank = alone(make_spec(kl_coef=0.0), model, rendezvous)
    rank.step(GROUPS)  # Adam has a momentum now
    before = weights_of(rank)
    report = rank.step(uniform(-1.5))
    assert (report.uniform_groups, report.learning_rate) == (1.0, 0.0) and moved(before, rank) == 0.0
    assert rank.step(GROUPS).uniform_groups == sum(map(is_uniform, GROUPS)) / 4 and moved(before, rank) > 0.0


@pytest.mark.integration
def test_a_batch_without_a_difference_moves_next_to_nothing_by_rounding_against_the_reference(
    model: Path, rendezvous: str
) -> None:
    """Adam makes a full step of any gradient, however small, when it is its first."""
    travelled = []
    for batch in (uniform(-0.9), GROUPS):
        rank = alone(make_spec(kl_coef=1e-3), model, rendezvous)
        before = weights_of(rank)
        rank.step(batch)
        travelled.append(moved(before, rank))
    assert travelled[0] < 0.05 * travelled[1]


def test_a_tensor_that_is_no_number_is_named_before_it_is_published() -> None:
    named = [("a", torch.ones(2)), ("b", torch.tensor([1.0, -math.inf])), ("c", torch.ones(1))]
    assert first_not_finite(named) == "b" and first_not_finite(named[:1]) == ""
    given = finite(named, "learner rank 1")
    assert next(given)[0] == "a"
    with pytest.raises(ValueError, match="learner rank 1: the weight b is not finite: it is not published"):
        next(given)


def test_a_group_is_uniform_when_neither_rewards_nor_potentials_differ() -> None:
    episodes = [[([1], [])], [([2], [])]]
    assert is_uniform(group_of_turns([1], episodes, [0.3, 0.1 + 0.2]))
    assert is_uniform(group_of_turns([1], episodes, [1e-9, 1e-9]))
    assert not is_uniform(group_of_turns([1], episodes, [0.3, 0.31]))
    assert not is_uniform(group_of_turns([1], episodes, [0.3, 0.3], [(0.5,), (0.0,)]))

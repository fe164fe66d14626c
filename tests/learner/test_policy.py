"""Packed log-probs and gradients against separate rows; published weights against peft's own merge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from common.config import LearnerSpec
from learner import attention
from learner.batch import PackedGroup, pack
from learner.policy import (
    LogpModel,
    Policy,
    adapter_weights,
    base_model,
    completion_logps,
    load_policy,
    merged_weights,
    reference,
    sequence_logps,
)
from learner.rounding import to_bfloat16
from tests.learner.groups import Turns, group, group_of_turns
from tests.learner.tiny_models import FAMILIES, gemma, llama, saved

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

PROMPT = [7, 3, 9, 11, 2, 5, 8, 13, 21]
COMPLETIONS = [[4, 6, 8, 1, 30, 31, 12], [22], [15, 16, 17, 18]]

EPISODES: list[Turns] = [
    [([4, 6, 8], [40, 41]), ([1, 30], [42]), ([31, 12], [])],
    [([22], [])],
    [([15, 16], [43, 44, 45, 46, 47]), ([17, 18, 19], [])],
]


def spec(rank: int = 4, checkpointing: bool = True) -> LearnerSpec:
    return LearnerSpec(lora_rank=rank, lora_alpha=8, gradient_checkpointing=checkpointing)


def load(config: PreTrainedConfig, folder: Path, learner: LearnerSpec | None = None) -> Policy:
    """In float32, with LoRA's zero half drawn at random so that the adapter matters."""
    policy = load_policy(saved(config, folder), learner or spec(), "cpu", seed=1, dtype=torch.float32)
    generator = torch.Generator().manual_seed(2)
    for name, parameter in policy.module.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.3, generator=generator)
    return policy


def packed_group(prompt: list[int] = PROMPT, completions: list[list[int]] = COMPLETIONS) -> PackedGroup:
    return pack(group(prompt, completions))


def separate_logps(module: nn.Module, temperature: float) -> Tensor:
    """The plain way: one ordinary forward a completion, with all logits and the model's own masks."""
    parts = []
    for ids in COMPLETIONS:
        logits_TV = module(input_ids=torch.tensor([PROMPT + ids])).logits[0, len(PROMPT) - 1 : -1].float()
        parts.append((logits_TV / temperature).log_softmax(-1)[range(len(ids)), ids])
    return torch.cat(parts)


def gradients(module: nn.Module, logp_N: Tensor) -> dict[str, Tensor]:
    module.zero_grad()
    weight_N = torch.linspace(-1, 1, logp_N.numel())
    (logp_N * weight_N).sum().backward()  # type: ignore[no-untyped-call]
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("rank", [4, 0], ids=["lora", "full"])
def test_packed_rows_give_the_log_probs_and_gradients_of_separate_rows(family: str, rank: int, tmp_path: Path) -> None:
    policy = load(FAMILIES[family](), tmp_path, spec(rank))
    expected = separate_logps(policy.module, temperature=0.7)
    got = completion_logps(policy.module, packed_group(), temperature=0.7, chunk=5)
    torch.testing.assert_close(got, expected, atol=2e-5, rtol=1e-5)
    wanted, found = gradients(policy.module, expected), gradients(policy.module, got)
    assert wanted.keys() == found.keys() and wanted
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, atol=5e-5, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}")


def masked_logps(module: nn.Module, temperature: float) -> Tensor:
    """Each episode as an ordinary row, and the log-probs of its sampled tokens picked out of it."""
    parts = []
    for turns in EPISODES:
        ids, sampled = list(PROMPT), list[int]()
        for drawn, observed in turns:
            sampled += range(len(ids), len(ids) + len(drawn))
            ids += [*drawn, *observed]
        logits_TV = module(input_ids=torch.tensor([ids])).logits[0].float()
        logp_TV = (logits_TV / temperature).log_softmax(-1)
        parts.append(torch.stack([logp_TV[at - 1, ids[at]] for at in sampled]))
    return torch.cat(parts)


@pytest.mark.parametrize("family", ["llama", "gemma"])  # gemma's window is shorter than prompt and observations
@pytest.mark.parametrize("rows", [[[0, 1, 2]], [[0], [1, 2]]], ids=["one row", "two rows"])
def test_i4_a_packed_group_of_many_turns_gives_log_probs_and_gradients_of_separate_masked_rows(
    family: str, rows: list[list[int]], tmp_path: Path
) -> None:
    policy = load(FAMILIES[family](), tmp_path, spec(rank=0))
    policy.module.double()  # these weights are large, and amplify the rounding of float32 beyond the bound
    expected = masked_logps(policy.module, temperature=0.7)
    packed = [pack(group_of_turns(PROMPT, EPISODES), chosen) for chosen in rows]
    got = torch.cat([completion_logps(policy.module, row, temperature=0.7, chunk=5) for row in packed])
    torch.testing.assert_close(got, expected, atol=5e-5, rtol=0)
    wanted, found = gradients(policy.module, expected), gradients(policy.module, got)
    assert wanted.keys() == found.keys() and wanted
    flat, other = (torch.cat([gradient.flatten() for gradient in each.values()]) for each in (wanted, found))
    assert float((other - flat).norm()) <= 1.3e-6 * float(flat.norm())


def test_the_chunk_and_checkpointing_change_nothing(tmp_path: Path) -> None:
    policy = load(llama(), tmp_path, spec(checkpointing=False))
    expected = completion_logps(policy.module, packed_group(), 1.0, chunk=1000)
    checkpointed = load(llama(), tmp_path, spec(checkpointing=True))
    got = LogpModel(checkpointed.module)(packed_group(), 1.0, chunk=1)
    torch.testing.assert_close(got, expected)
    wanted, found = gradients(policy.module, expected), gradients(checkpointed.module, got)
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name])


def test_a_completion_is_blind_to_its_siblings(tmp_path: Path) -> None:
    policy = load(gemma(), tmp_path)
    one = completion_logps(policy.module, packed_group(completions=[COMPLETIONS[0], [1, 2]]), 1.0, 8)
    other = completion_logps(policy.module, packed_group(completions=[COMPLETIONS[0], [50, 51, 52]]), 1.0, 8)
    torch.testing.assert_close(one[:7], other[:7])


def test_a_capped_head_is_capped_before_the_temperature(tmp_path: Path) -> None:
    policy = load(gemma(softcap=2.0), tmp_path)
    got = completion_logps(policy.module, packed_group(), 0.5, 8)
    torch.testing.assert_close(got, separate_logps(policy.module, 0.5), atol=2e-5, rtol=1e-5)


def test_sequence_log_probs_equal_the_models_own(tmp_path: Path) -> None:
    policy = load(gemma(), tmp_path)
    ids = PROMPT + COMPLETIONS[0]
    logits_TV = policy.module(input_ids=torch.tensor([ids])).logits[0, :-1].float()
    expected = logits_TV.log_softmax(-1)[range(len(ids) - 1), ids[1:]]
    torch.testing.assert_close(torch.tensor(sequence_logps(policy.module, ids)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("rank", [4, 0], ids=["lora", "full"])
def test_the_reference_stays_while_the_policy_moves(rank: int, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    policy = load(llama(), tmp_path, spec(rank))
    plain = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    trained = {name for name, p in policy.module.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for parameter in policy.module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05)
        with reference(policy) as module:
            got = completion_logps(module, packed_group(), 1.0, 8)
        moved = completion_logps(policy.module, packed_group(), 1.0, 8)
        torch.testing.assert_close(got, separate_logps(plain, 1.0), atol=2e-5, rtol=1e-5)
    assert not torch.allclose(moved, got, atol=1e-3)
    assert {name for name, p in policy.module.named_parameters() if p.requires_grad} == trained


@pytest.mark.parametrize("family", FAMILIES)
def test_merged_weights_load_into_a_plain_model_of_the_same_log_probs(family: str, tmp_path: Path) -> None:
    policy = load(FAMILIES[family](), tmp_path)
    before = completion_logps(policy.module, packed_group(), 1.0, 8)
    weights = {name: tensor.clone() for name, tensor in merged_weights(policy, torch.float32)}
    plain = type(base_model(policy.module)).from_pretrained(
        tmp_path, dtype=torch.float32, attn_implementation=attention.register()
    )
    missing, unexpected = plain.load_state_dict(weights, strict=False)
    assert not unexpected
    assert all("vision_tower" in name or "projector" in name or name == "lm_head.weight" for name in missing)
    torch.testing.assert_close(completion_logps(plain, packed_group(), 1.0, 8), before, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(completion_logps(policy.module, packed_group(), 1.0, 8), before)


def test_merging_rounds_once(tmp_path: Path) -> None:
    policy = load(llama(), tmp_path)
    exact = dict(merged_weights(policy, torch.float32))
    for name, tensor in merged_weights(policy, torch.bfloat16):
        whole = exact[name]
        expected = to_bfloat16(whole) if "proj" in name else whole.to(torch.bfloat16)
        torch.testing.assert_close(tensor, expected, atol=0, rtol=0)


@pytest.mark.parametrize("rank", [4, 0], ids=["lora", "full"])
@pytest.mark.parametrize("tied", [True, False])
def test_an_untied_head_is_sent_and_a_tied_one_goes_with_the_embedding(tied: bool, rank: int, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    policy = load(llama(tied), tmp_path, spec(rank))
    names = [name for name, _ in merged_weights(policy, torch.float32)]
    assert len(names) == len(set(names))
    loaded = set(AutoModelForCausalLM.from_pretrained(tmp_path).state_dict())
    assert set(names) == (loaded - {"lm_head.weight"} if tied else loaded)


@pytest.mark.parametrize("family", FAMILIES)
def test_lora_covers_the_decoders_linear_layers_and_nothing_else(family: str, tmp_path: Path) -> None:
    policy = load(FAMILIES[family](), tmp_path)
    names = adapter_weights(policy)
    prefix = "base_model.model.model." + ("language_model." if family == "medgemma" else "")
    assert len(names) == 2 * 7 * 2  # A and B, seven linear layers, two decoder layers
    assert all(
        name.startswith(f"{prefix}layers.") and name.endswith((".lora_A.weight", ".lora_B.weight")) for name in names
    )


def test_the_seed_draws_the_adapter(tmp_path: Path) -> None:
    folder = saved(llama(), tmp_path)
    one, same, other = (adapter_weights(load_policy(folder, spec(), "cpu", seed)) for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_a_fresh_adapter_is_the_base_model(tmp_path: Path) -> None:
    policy = load_policy(saved(llama(), tmp_path), spec(), "cpu", 0)
    with torch.no_grad(), reference(policy) as module:
        base = completion_logps(module, packed_group(), 1.0, 8)
    torch.testing.assert_close(completion_logps(policy.module, packed_group(), 1.0, 8).detach(), base)


def test_partitioned_parameters_are_gathered_for_every_tensor(tmp_path: Path) -> None:
    policy = load(llama(), tmp_path)
    gathered: set[int] = set()

    class Recorder:
        def __init__(self, parameters: list[nn.Parameter]) -> None:
            gathered.update(id(parameter) for parameter in parameters)

        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    for _ in merged_weights(policy, torch.float32, Recorder):
        pass
    assert gathered == {id(parameter) for parameter in policy.module.parameters()}


def test_a_folder_without_a_model_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model folder .*empty") as caught:
        load_policy(tmp_path / "empty", spec(), "cpu", 0)
    assert "\n" not in str(caught.value)

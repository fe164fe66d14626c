"""A bare PyTorch loop: Hugging Face generation, then REINFORCE on rows that repeat the prompt, as OpenRLHF and TRL do.

    python -m bench.reference_torch workload.json

Shapes: B rows of a micro-batch (one group), P prompt tokens, T completion tokens, V vocabulary.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import AutoModelForCausalLM

from bench.memory import PeakMemory
from bench.result import Result, emit
from bench.workload import Workload, load, prompt_ids


def build(work: Workload) -> Any:
    """The policy in `work.dtype` with LoRA on every linear layer, gradient checkpointing on."""
    model = AutoModelForCausalLM.from_pretrained(work.model, dtype=getattr(torch, work.dtype))
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.enable_input_require_grads()
    lora = LoraConfig(r=work.lora_rank, lora_alpha=work.lora_alpha, target_modules="all-linear")
    return get_peft_model(model, lora)


@torch.no_grad()
def generate(model: Any, prompts: list[list[int]], work: Workload) -> list[Tensor]:
    """One [B, T] tensor of completions per prompt; all prompts in one left-padded batch."""
    width = max(map(len, prompts))
    pad = model.config.pad_token_id
    ids_NP = torch.tensor([[pad] * (width - len(p)) + p for p in prompts])
    mask_NP = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    model.eval()
    out = model.generate(
        input_ids=ids_NP,
        attention_mask=mask_NP,
        do_sample=True,
        temperature=work.temperature,
        top_k=0,
        top_p=1.0,
        num_return_sequences=work.group_size,
        min_new_tokens=work.tokens,
        max_new_tokens=work.tokens,
        use_cache=True,
    )
    return list(out[:, width:].split(work.group_size))


def logp(model: Any, ids_BS: Tensor, length: int, temperature: float) -> Tensor:
    """Log-probabilities [B, T] of the last `length` tokens of each row; logits only where they are needed."""
    logits_BTV = model(input_ids=ids_BS, logits_to_keep=length + 1, use_cache=False).logits[:, :-1]
    logp_BTV = (logits_BTV.float() / temperature).log_softmax(-1)
    picked_BT: Tensor = logp_BTV.gather(-1, ids_BS[:, -length:, None]).squeeze(-1)
    return picked_BT


def kl(model: Any, ids_BS: Tensor, logp_BT: Tensor, work: Workload) -> Tensor:
    """The k3 estimate of the KL to the model without its adapter, [B, T]."""
    with torch.no_grad(), model.disable_adapter():
        reference_BT = logp(model, ids_BS, work.tokens, work.temperature)
    return torch.exp(reference_BT - logp_BT) - (reference_BT - logp_BT) - 1


def train(
    model: Any, optimizer: torch.optim.Optimizer, groups: list[Tensor], prompts: list[list[int]], work: Workload
) -> None:
    """One optimiser step; one micro-batch per group, the prompt repeated in each of its rows."""
    model.train()
    for prompt, done_BT in zip(prompts, groups, strict=True):
        ids_BS = torch.cat([torch.tensor([prompt]).expand(len(done_BT), -1), done_BT], dim=1)
        reward_B = (done_BT.sum(-1) % 7).float()
        advantage_B = (reward_B - reward_B.mean()) / reward_B.std().clamp_min(1e-4)
        with torch.autocast("cpu", torch.bfloat16, enabled=work.bf16):
            logp_BT = logp(model, ids_BS, work.tokens, work.temperature)
            penalty_BT = work.kl_coef * kl(model, ids_BS, logp_BT, work) if work.kl_coef else 0.0
        ratio_BT = torch.exp(logp_BT - logp_BT.detach())
        loss = (penalty_BT - advantage_B[:, None] * ratio_BT).mean() / len(groups)
        torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def run(work: Workload) -> Result:
    """Generate and train for the workload's steps; measure all except the warm-up steps."""
    torch.manual_seed(work.seed)
    torch.set_flush_denormal(True)  # progress bars cost time
    ids = prompt_ids(work)
    times: list[tuple[float, float]] = []
    with PeakMemory() as memory:
        model = build(work)
        assert model.get_base_model().dtype == getattr(torch, work.dtype)
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=work.learning_rate)
        for step in range(work.warm_steps + work.steps):
            prompts = ids[step * work.prompts_per_step : (step + 1) * work.prompts_per_step]
            start = time.perf_counter()
            groups = generate(model, prompts, work)
            generated = time.perf_counter()
            train(model, optimizer, groups, prompts, work)
            times.append((generated - start, time.perf_counter() - generated))
    measured = times[work.warm_steps :]
    return Result(
        name="bare PyTorch loop",
        completions=work.steps * work.completions_per_step,
        seconds=sum(map(sum, measured)),
        tokens=work.steps * work.completions_per_step * work.tokens,
        prompt_tokens=sum(map(len, ids)) / len(ids),
        generate_s=sum(g for g, _ in measured) / work.steps,
        train_s=sum(t for _, t in measured) / work.steps,
        peak_memory_gib=memory.gib,
    )


if __name__ == "__main__":
    emit(run(load(Path(sys.argv[1]))))

"""Warm-up: a short supervised phase on (prompt, completion) examples, so that the policy emits the reply's format.

Trained in one process, with plain torch, on packed rows: what all prompts of a row begin with (the system prompt, the
instruction) is computed once, and each example is a branch of it (learner/batch.py). The warmed model is saved merged,
as an ordinary Hugging Face folder, and is then the model of the run: the engines' start, the learner's base and the KL
reference. Its folder is named after the content hash of model, examples and settings, so the same warm-up is never
computed twice.

Models up to 1e9 parameters are trained whole: a format is learnt in fewer steps than through adapters, and weights,
gradients and AdamW's moments take 16 bytes per parameter, in float32 as in bfloat16 (2.2 GB for SmolLM2-135M).
That no longer fits one 24 GB card for MedGemma 4B, so larger models learn through LoRA, which is merged before saving.

Shapes: S positions of a row, M those of its branches, N predicted tokens, D width.
"""

from __future__ import annotations

import hashlib
import json
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor, nn

from common.backends import BACKENDS
from common.config import RunSpec
from common.files import read_record
from common.finite import number_fault
from common.paths import path_of
from common.records import Record
from learner import attention
from learner.batch import Row, pack_row
from learner.examples import Example
from learner.export import copy_small_files
from learner.head import head_logps
from learner.policy import linear_layers, row_states
from learner.rows import common_prefix

_CACHE_VERSION = 2  # part of the cache key: raise it when training changes
_WHOLE_MODEL_LIMIT = 1_000_000_000  # parameters; larger models learn through LoRA
_LORA_RANK = 16  # when the learner itself trains without LoRA
_ROW_TOKENS = 2048  # packed positions in one forward
_HEAD_TOKENS = 512  # tokens whose logits are computed at once
_HELDOUT_SHARE = 0.1
_HELDOUT_MOST = 16  # examples: enough to see a trend, cheap on a CPU
_REPORT = "warm_up.json"

Progress = Callable[[int, float], None]
"""Called after every optimiser step with its number, from 1, and the mean loss of its completion tokens in nats."""


class WarmUpReport(Record):
    """Result of the warm-up; losses in nats per completion token, None where nothing was held out."""

    steps: int
    parameters_trained: int
    heldout_examples: int
    heldout_loss_before: float | None
    heldout_loss_after: float | None
    losses: tuple[float, ...]


def warmed_model(spec: RunSpec, model_folder: Path, examples: Sequence[Example], progress: Progress) -> Path:
    """The folder of the warmed model, trained now or found in the cache; `model_folder` itself when steps is 0.

    Raises ValueError when there is nothing to train on or an example does not fit `model.context`.
    """
    if spec.warm_up.steps == 0:
        return model_folder
    _check(spec, examples)
    home = path_of(spec.model.cache) / "warm"
    folder = home / key(spec, model_folder, examples)
    if folder.is_dir():
        return folder
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".making-") as name:
        made = Path(name) / "model"
        _make(spec, model_folder, examples, progress, made)
        # A rename is atomic: a folder of this name is always whole. Another run may have been faster; both are equal.
        if not folder.is_dir():
            made.rename(folder)
    return folder


def report(folder: Path) -> WarmUpReport | None:
    """Result of the warm-up that made `folder`; None for a model that was not warmed up here, or a damaged report."""
    return read_record(folder / _REPORT, WarmUpReport)


def _check(spec: RunSpec, examples: Sequence[Example]) -> None:
    if len(examples) < 2:
        raise ValueError(
            f"warm-up needs 2 examples or more, got {len(examples)}: add sources or set warm_up.steps to 0"
        )
    longest = max(examples, key=lambda example: example.tokens)
    if longest.tokens > spec.model.context:
        raise ValueError(
            f"warm-up example of {longest.group} has {longest.tokens} tokens, model.context is "
            f"{spec.model.context}: raise model.context or have the game make shorter tasks"
        )


def key(spec: RunSpec, model_folder: Path, examples: Sequence[Example], more: Sequence[object] = ()) -> str:
    """Content hash of everything that shapes the result; `more` is what else does."""
    digest = hashlib.sha256()
    settings = [_CACHE_VERSION, spec.seed, spec.model.dtype, spec.backend, spec.warm_up.model_dump(), _lora_rank(spec)]
    digest.update(json.dumps([*settings, *more]).encode())
    for path in sorted(path for path in model_folder.iterdir() if path.is_file() and path.name != _REPORT):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    digest.update(msgspec.msgpack.encode(examples))
    return digest.hexdigest()[:24]


def _lora_rank(spec: RunSpec) -> int:
    return spec.learner.lora_rank or _LORA_RANK


def _make(spec: RunSpec, model_folder: Path, examples: Sequence[Example], progress: Progress, made: Path) -> None:
    """Train and write the merged model, with the tokenizer and other small files of the original model."""
    with torch.random.fork_rng():
        torch.manual_seed(spec.seed)
        trainer = Trainer(spec, load(spec, model_folder))
        outcome = trainer.train(examples, progress)
    trainer.merged().save_pretrained(made)
    copy_small_files(model_folder, made)
    (made / _REPORT).write_bytes(msgspec.json.encode(outcome))


def load(spec: RunSpec, model_folder: Path) -> Any:
    """The Hugging Face model to warm up, in `model.dtype` on the learner's device."""
    from transformers import AutoModelForCausalLM

    dtype = getattr(torch, spec.model.concrete_dtype)
    base = AutoModelForCausalLM.from_pretrained(
        model_folder, dtype=dtype, attn_implementation=attention.register(), use_safetensors=True
    )
    return base.to(BACKENDS[spec.backend].device)


class Trainer:
    """AdamW on float32 masters of the trained weights; forward and backward run in the model's own dtype.

    A weight that is float32 is its own master.
    """

    def __init__(self, spec: RunSpec, base: Any) -> None:
        self._settings = spec.warm_up
        self._seed = spec.seed
        self._base = base
        self._peft: Any = None
        if base.num_parameters() > _WHOLE_MODEL_LIMIT:
            self._add_lora(spec)
        # The text side only: a vision tower sees no images here. A tied output embedding is one weight, not two.
        text = [*base.get_decoder().parameters(), *base.get_output_embeddings().parameters()]
        weights: list[nn.Parameter] = list(dict.fromkeys(weight for weight in text if weight.requires_grad))
        self._masters = [w if w.dtype == torch.float32 else nn.Parameter(w.detach().float()) for w in weights]
        self._copies = [(w, master) for w, master in zip(weights, self._masters, strict=True) if w is not master]
        self._device = self._masters[0].device
        self._optimizer = torch.optim.AdamW(
            self._masters, lr=spec.warm_up.learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True
        )

    def _add_lora(self, spec: RunSpec) -> None:
        from peft import LoraConfig, get_peft_model

        rank = _lora_rank(spec)
        targets = linear_layers(self._base)
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets, task_type="CAUSAL_LM")
        self._base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self._peft = get_peft_model(self._base, config)

    def merged(self) -> Any:
        """The trained model; a LoRA adapter is merged into it, after which it cannot be trained further."""
        return self._base if self._peft is None else self._peft.merge_and_unload()

    def train(self, examples: Sequence[Example], progress: Progress) -> WarmUpReport:
        """`warm_up.steps` optimiser steps over the examples that are not held out."""
        train, heldout = split(examples, self._seed)
        before = self._evaluate(heldout)
        losses = []
        self._base.train()
        plan = batches(train, self._settings.batch, self._seed)
        for step in range(1, self._settings.steps + 1):
            losses.append(self.step(rate(step, self._settings.steps), next(plan)))
            progress(step, losses[-1])
        return WarmUpReport(
            steps=self._settings.steps,
            parameters_trained=sum(weight.numel() for weight in self._masters),
            heldout_examples=len(heldout),
            heldout_loss_before=before,
            heldout_loss_after=self._evaluate(heldout),
            losses=tuple(losses),
        )

    def step(self, share: float, batch: Sequence[Example]) -> float:
        """One optimiser step at a share of the peak learning rate; the mean loss of the trained tokens, nats.

        Raises ValueError when loss or gradient is not finite.
        """
        tokens = sum(sum(example.trained) for example in batch)
        total = 0.0
        for row in rows(batch):
            loss = summed_loss(self._base, row.to(self._device)) / tokens
            torch.autograd.backward(loss)
            total += float(loss.detach())
        for weight, master in self._copies:
            assert weight.grad is not None
            master.grad, weight.grad = weight.grad.float(), None
        norm = float(nn.utils.clip_grad_norm_(self._masters, 1.0))
        if fault := number_fault({"the loss": total, "the gradient's norm": norm}):
            raise ValueError(f"warm-up: {fault}: lower warm_up.learning_rate, or check the weights of model.source")
        for group in self._optimizer.param_groups:
            group["lr"] = self._settings.learning_rate * share
        self._optimizer.step()
        self._optimizer.zero_grad()
        with torch.no_grad():
            for weight, master in self._copies:
                weight.copy_(master)
        return total

    @torch.no_grad()
    def _evaluate(self, examples: Sequence[Example]) -> float | None:
        if not examples:
            return None
        self._base.eval()
        by_length = sorted(examples, key=lambda example: example.tokens)
        total = sum(float(summed_loss(self._base, row.to(self._device))) for row in rows(by_length))
        return total / sum(sum(example.trained) for example in examples)


def split(examples: Sequence[Example], seed: int) -> tuple[list[Example], list[Example]]:
    """(train, held out): whole groups, about a tenth of them, at most 16 examples; none of a single group."""
    groups = sorted({example.group for example in examples})
    random.Random(seed).shuffle(groups)
    chosen = set(groups[: max(1, int(len(groups) * _HELDOUT_SHARE))] if len(groups) > 1 else [])
    heldout = [example for example in examples if example.group in chosen][:_HELDOUT_MOST]
    return [example for example in examples if example.group not in chosen], heldout


def batches(examples: Sequence[Example], size: int, seed: int) -> Iterator[list[Example]]:
    """Endless batches; a new order every epoch. Examples of similar length share a batch, because attention pads to the
    longest of a row."""
    rng = random.Random(seed)
    window = 4 * size
    while True:
        order = rng.sample(list(examples), len(examples))
        sorted_windows = [
            sorted(order[at : at + window], key=lambda e: e.tokens) for at in range(0, len(order), window)
        ]
        epoch = [rows[at : at + size] for rows in sorted_windows for at in range(0, len(rows), size)]
        rng.shuffle(epoch)
        yield from epoch


def rate(step: int, steps: int) -> float:
    """Share of the peak learning rate at `step` (from 1): it rises over a tenth of the steps, then falls to a tenth."""
    rise = max(1, steps // 10)
    if step <= rise:
        return step / rise
    return 1.0 - 0.9 * (step - rise) / max(1, steps - rise)


def rows(examples: Sequence[Example], most: int = _ROW_TOKENS) -> Iterator[Row]:
    """The examples in their order, packed into rows of at most `most` positions or of one example."""
    shared = _shared(examples)
    held: list[Example] = []
    for example in examples:
        if held and shared + sum(one.tokens - shared for one in (*held, example)) > most:
            yield pack_examples(held)
            held = []
        held.append(example)
    yield pack_examples(held)


def pack_examples(examples: Sequence[Example]) -> Row:
    """One row on the CPU: what all prompts begin with, then the rest of each example; completions are predicted."""
    shared = _shared(examples)
    branches = [(*example.prompt_ids[shared:], *example.completion_ids) for example in examples]
    predicted_M: list[bool] = []
    for example in examples:
        predicted_M += [False] * (len(example.prompt_ids) - shared)
        predicted_M += example.trained
    return pack_row(examples[0].prompt_ids[:shared], branches, torch.tensor(predicted_M))


def _shared(examples: Sequence[Example]) -> int:
    return common_prefix([example.prompt_ids for example in examples])


def summed_loss(model: Any, row: Row) -> Tensor:
    """Sum over the row's predicted tokens of -log p(token), scalar float32."""
    hidden_ND = row_states(model, row)[row.source_N]
    return -head_logps(model, hidden_ND, row.target_N, 1.0, -(-row.tokens // _HEAD_TOKENS), keep=True).sum()

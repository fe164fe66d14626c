"""Warm-up: a short supervised phase on (prompt, completion) examples, so that the policy emits the reply's format.

Trained in one process, with plain torch. The warmed model is saved merged, as an ordinary Hugging Face folder, and is
from then on the model of the run: the engines' start, the learner's base and the KL reference. Its folder is named
after the content hash of model, examples and settings, so the same warm-up is never paid for twice.

Models up to 1e9 parameters are trained whole: a format is learnt in fewer steps than through adapters, and the master
weights with AdamW's moments take 12 bytes a parameter beside the 4 of weight and gradient (2.2 GB for SmolLM2-135M).
That no longer fits one 24 GB card for MedGemma 4B, so larger models learn through LoRA, which is merged before saving.

Shapes: B examples, T positions, C completion tokens of the B examples together, D width, V vocabulary.
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
from common.records import Record
from learner.export import copy_small_files

_CACHE_VERSION = 1  # part of the key: raise it when training changes
_WHOLE_MODEL_LIMIT = 1_000_000_000  # parameters; larger models learn through LoRA
_LORA_RANK = 16  # when the learner itself trains without LoRA
_MICRO_TOKENS = 4096  # padded positions in one forward
_HELDOUT_SHARE = 0.1
_HELDOUT_MOST = 16  # examples: enough to see a trend, cheap on a CPU
_REPORT = "warm_up.json"

Progress = Callable[[int, float], None]
"""Called after every optimiser step with its number, from 1, and the mean loss of its completion tokens in nats."""


class Example(Record):
    """One supervised reply. Examples of one `group` (twins of a note) stay on one side of the held-out split."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    group: str

    @property
    def tokens(self) -> int:
        return len(self.prompt_ids) + len(self.completion_ids)


class WarmUpReport(Record):
    """How the warm-up went; losses in nats a completion token, None where nothing was held out."""

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
    home = spec.model.cache.expanduser() / "warm"
    folder = home / _key(spec, model_folder, examples)
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
    """How the warm-up that made `folder` went; None for a model that was not warmed up here."""
    path = folder / _REPORT
    return msgspec.json.decode(path.read_bytes(), type=WarmUpReport) if path.is_file() else None


def _check(spec: RunSpec, examples: Sequence[Example]) -> None:
    if len(examples) < 2:
        raise ValueError(f"warm-up needs 2 examples or more, got {len(examples)}: add notes or set warm_up.steps to 0")
    longest = max(examples, key=lambda example: example.tokens)
    if longest.tokens > spec.model.context:
        raise ValueError(
            f"warm-up example of note {longest.group} has {longest.tokens} tokens, model.context is "
            f"{spec.model.context}: raise model.context or lower data.max_words"
        )


def _key(spec: RunSpec, model_folder: Path, examples: Sequence[Example]) -> str:
    """Content hash of everything that shapes the result."""
    digest = hashlib.sha256()
    settings = [_CACHE_VERSION, spec.seed, spec.model.dtype, spec.backend, spec.warm_up.model_dump(), _lora_rank(spec)]
    digest.update(json.dumps(settings).encode())
    for path in sorted(path for path in model_folder.iterdir() if path.is_file() and path.name != _REPORT):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    digest.update(msgspec.msgpack.encode(examples))
    return digest.hexdigest()[:24]


def _lora_rank(spec: RunSpec) -> int:
    return spec.learner.lora_rank or _LORA_RANK


def _make(spec: RunSpec, model_folder: Path, examples: Sequence[Example], progress: Progress, made: Path) -> None:
    """Train and write the merged model, with the tokenizer's and other small files of the model it came from."""
    from transformers import AutoModelForCausalLM

    dtype = getattr(torch, spec.model.concrete_dtype)
    with torch.random.fork_rng():
        torch.manual_seed(spec.seed)
        base = AutoModelForCausalLM.from_pretrained(model_folder, dtype=dtype, use_safetensors=True)
        trainer = _Trainer(spec, base.to(BACKENDS[spec.backend].device))
        outcome = trainer.train(examples, progress)
    trainer.merged().save_pretrained(made)
    copy_small_files(model_folder, made)
    (made / _REPORT).write_bytes(msgspec.json.encode(outcome))


class _Trainer:
    """AdamW on float32 masters of the trained weights; forward and backward run in the model's own dtype."""

    def __init__(self, spec: RunSpec, base: Any) -> None:
        self._settings = spec.warm_up
        self._seed = spec.seed
        self._base = base
        self._peft: Any = None
        if base.num_parameters() > _WHOLE_MODEL_LIMIT:
            self._add_lora(spec)
        # The text side only: a vision tower sees no images here. A tied output embedding is one weight, not two.
        text = [*base.get_decoder().parameters(), *base.get_output_embeddings().parameters()]
        self._weights: list[nn.Parameter] = list(dict.fromkeys(weight for weight in text if weight.requires_grad))
        self._masters = [weight.detach().float().clone() for weight in self._weights]
        self._optimizer = torch.optim.AdamW(
            self._masters, lr=spec.warm_up.learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True
        )

    def _add_lora(self, spec: RunSpec) -> None:
        from peft import LoraConfig, get_peft_model

        rank = _lora_rank(spec)
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
        self._base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self._peft = get_peft_model(self._base, config)

    def merged(self) -> Any:
        return self._base if self._peft is None else self._peft.merge_and_unload()

    def train(self, examples: Sequence[Example], progress: Progress) -> WarmUpReport:
        """`warm_up.steps` optimiser steps over the examples that are not held out."""
        train, heldout = split(examples, self._seed)
        before = self._evaluate(heldout)
        losses = []
        self._base.train()
        plan = batches(train, self._settings.batch, self._seed)
        for step in range(1, self._settings.steps + 1):
            losses.append(self._step(step, next(plan)))
            progress(step, losses[-1])
        return WarmUpReport(
            steps=self._settings.steps,
            parameters_trained=sum(weight.numel() for weight in self._weights),
            heldout_examples=len(heldout),
            heldout_loss_before=before,
            heldout_loss_after=self._evaluate(heldout),
            losses=tuple(losses),
        )

    def _step(self, step: int, batch: Sequence[Example]) -> float:
        tokens = sum(len(example.completion_ids) for example in batch)
        total = 0.0
        for rows in _micro(batch):
            loss = self._summed_loss(rows) / tokens
            torch.autograd.backward(loss)
            total += float(loss.detach())
        for weight, master in zip(self._weights, self._masters, strict=True):
            assert weight.grad is not None
            master.grad, weight.grad = weight.grad.float(), None
        nn.utils.clip_grad_norm_(self._masters, 1.0)
        for group in self._optimizer.param_groups:
            group["lr"] = self._settings.learning_rate * rate(step, self._settings.steps)
        self._optimizer.step()
        self._optimizer.zero_grad()
        with torch.no_grad():
            for weight, master in zip(self._weights, self._masters, strict=True):
                weight.copy_(master)
        return total

    @torch.no_grad()
    def _evaluate(self, examples: Sequence[Example]) -> float | None:
        if not examples:
            return None
        self._base.eval()
        total = sum(float(self._summed_loss(rows)) for rows in _micro(sorted(examples, key=lambda e: e.tokens)))
        return total / sum(len(example.completion_ids) for example in examples)

    def _summed_loss(self, rows: Sequence[Example]) -> Tensor:
        """Sum over the rows' completion tokens of -log p(token), scalar float32."""
        device = self._masters[0].device
        ids_BT, predicts_BT, target_C = (tensor.to(device) for tensor in pad(rows))
        # Rows are padded on the right and attention is causal, so no real token sees padding and no mask is needed.
        hidden_BTD = self._base.get_decoder()(input_ids=ids_BT, use_cache=False).last_hidden_state
        logits_CV = self._base.get_output_embeddings()(hidden_BTD[predicts_BT])
        return nn.functional.cross_entropy(logits_CV.float(), target_C, reduction="sum")


def split(examples: Sequence[Example], seed: int) -> tuple[list[Example], list[Example]]:
    """(train, held out): whole groups, about a tenth of them, at most 16 examples; none of a single group."""
    groups = sorted({example.group for example in examples})
    random.Random(seed).shuffle(groups)
    chosen = set(groups[: max(1, int(len(groups) * _HELDOUT_SHARE))] if len(groups) > 1 else [])
    heldout = [example for example in examples if example.group in chosen][:_HELDOUT_MOST]
    return [example for example in examples if example.group not in chosen], heldout


def batches(examples: Sequence[Example], size: int, seed: int) -> Iterator[list[Example]]:
    """Batches without end: every epoch in a new order, rows of similar length together so that little is padding."""
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
    """Share of the peak learning rate at `step` (from 1): a rise over a tenth of the steps, then down to a tenth."""
    rise = max(1, steps // 10)
    if step <= rise:
        return step / rise
    return 1.0 - 0.9 * (step - rise) / max(1, steps - rise)


def pad(rows: Sequence[Example]) -> tuple[Tensor, Tensor, Tensor]:
    """(ids_BT padded with 0, mask_BT of the positions whose next token is a completion token, those tokens C)."""
    longest = max(row.tokens for row in rows)
    ids_BT = torch.zeros(len(rows), longest, dtype=torch.long)
    predicts_BT = torch.zeros(len(rows), longest, dtype=torch.bool)
    for index, row in enumerate(rows):
        ids_BT[index, : row.tokens] = torch.tensor(row.prompt_ids + row.completion_ids)
        predicts_BT[index, len(row.prompt_ids) - 1 : row.tokens - 1] = True
    return ids_BT, predicts_BT, torch.tensor([token for row in rows for token in row.completion_ids])


def _micro(batch: Sequence[Example]) -> Iterator[Sequence[Example]]:
    """Split a batch so that one forward holds at most `_MICRO_TOKENS` padded positions."""
    rows = max(1, _MICRO_TOKENS // max(example.tokens for example in batch))
    for at in range(0, len(batch), rows):
        yield batch[at : at + rows]

"""Time saved by packing in the warm-up: its optimiser steps compared with padded rows of one example each.

    python -m bench.warm_up

Same model, same batches in the same order, every weight trained. The two variants alternate in one process with the
learner's environment; the table shows both times and losses of each step. Padded rows are the default of other
trainers: each example repeats the prompt, and weights have float32 masters whatever their dtype.

Shapes: B examples, T positions, C completion tokens of the B examples together, D width, V vocabulary.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from bench.environment import run_with
from bench.flags import add_model
from common.backends import CPU
from common.config import ModelSpec, RunSpec, WarmUpSpec
from common.flags import flag_count
from common.models import resolve_model
from envs.contract import registry
from envs.contract.by_rule import tasks_by_rule
from learner.examples import Example, examples_of
from learner.warm_up import Trainer, batches, load, split

PADDED_POSITIONS = 4096
"""Maximum positions per forward pass of padded rows."""
FEWEST_TASKS = 64
"""Minimum number of examples, so that enough notes remain for training."""


class Padded:
    """AdamW on float32 masters of all weights; every example is a row, padded to the longest."""

    def __init__(self, spec: RunSpec, folder: Path, dtype: torch.dtype) -> None:
        from transformers import AutoModelForCausalLM

        self._base: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True).train()
        self._weights = list(self._base.parameters())
        self._masters = [weight.detach().float().clone() for weight in self._weights]
        self._optimizer = torch.optim.AdamW(
            self._masters, lr=spec.warm_up.learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True
        )

    def step(self, batch: Sequence[Example]) -> float:
        """One optimiser step; the mean loss of the completion tokens, nats."""
        total = 0.0
        for rows in cut(batch):
            loss = self._summed_loss(rows) / sum(sum(example.trained) for example in batch)
            torch.autograd.backward(loss)
            total += float(loss.detach())
        for weight, master in zip(self._weights, self._masters, strict=True):
            assert weight.grad is not None
            master.grad, weight.grad = weight.grad.float(), None
        nn.utils.clip_grad_norm_(self._masters, 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()
        with torch.no_grad():
            for weight, master in zip(self._weights, self._masters, strict=True):
                weight.copy_(master)
        return total

    def _summed_loss(self, rows: Sequence[Example]) -> Tensor:
        # Padding is on the right and attention is causal, so no real token sees it.
        ids_BT, predicts_BT, target_C = pad(rows)
        hidden_BTD = self._base.get_decoder()(input_ids=ids_BT, use_cache=False).last_hidden_state
        logits_CV = self._base.get_output_embeddings()(hidden_BTD[predicts_BT])
        return nn.functional.cross_entropy(logits_CV.float(), target_C, reduction="sum")


def pad(rows: Sequence[Example]) -> tuple[Tensor, Tensor, Tensor]:
    """(ids_BT padded with 0, mask_BT of the positions whose next token is trained, those tokens C)."""
    longest = max(row.tokens for row in rows)
    ids_BT = torch.zeros(len(rows), longest, dtype=torch.long)
    predicts_BT = torch.zeros(len(rows), longest, dtype=torch.bool)
    for index, row in enumerate(rows):
        ids_BT[index, : row.tokens] = torch.tensor(row.prompt_ids + row.completion_ids)
        predicts_BT[index, len(row.prompt_ids) - 1 : row.tokens - 1] = torch.tensor(row.trained)
    targets = [token for row in rows for token in compress(row.completion_ids, row.trained)]
    return ids_BT, predicts_BT, torch.tensor(targets)


def cut(batch: Sequence[Example]) -> Iterator[Sequence[Example]]:
    """The batch in runs of at most `PADDED_POSITIONS` padded positions."""
    rows = max(1, PADDED_POSITIONS // max(example.tokens for example in batch))
    for at in range(0, len(batch), rows):
        yield batch[at : at + rows]


def prepared(spec: RunSpec) -> tuple[Path, Iterator[list[Example]]]:
    """(the model's folder, batches as a run would train on)."""
    env = registry.environment_of(spec.settled.envs, spec.seed)
    tasks = asyncio.run(tasks_by_rule(env, env.plan, max(FEWEST_TASKS, spec.warm_up.steps * spec.warm_up.batch)))
    folder = resolve_model(spec.model)
    train, _ = split(examples_of(spec, env, folder, [labelled for _, labelled in tasks]), spec.seed)
    return folder, batches(train, spec.warm_up.batch, spec.seed)


def timed(step: Callable[[], float]) -> tuple[float, float]:
    """(seconds, loss) of one step."""
    started = time.perf_counter()
    loss = step()
    return time.perf_counter() - started, loss


def measure(spec: RunSpec, padded_dtype: str) -> Table:
    """`warm_up.steps` steps of both variants, alternating; the first step is not part of the sum."""
    folder, plan = prepared(spec)
    packed, padded = Trainer(spec, load(spec, folder)), Padded(spec, folder, getattr(torch, padded_dtype))
    table = Table("step", title=f"Warm-up of {spec.model.source}, {spec.warm_up.batch} examples per step")
    ways = (f"packed {spec.model.dtype}, s", f"padded {padded_dtype}, s")
    for column in ("tokens", *ways, "ratio", "loss packed", "loss padded"):
        table.add_column(column, justify="right")
    ours, theirs = 0.0, 0.0
    for step in range(spec.warm_up.steps):
        batch = next(plan)
        mine, other = timed(partial(packed.step, 1.0, batch)), timed(partial(padded.step, batch))
        numbers = (
            f"{mine[0]:.2f}",
            f"{other[0]:.2f}",
            f"{mine[0] / other[0]:.2f}",
            f"{mine[1]:.4f}",
            f"{other[1]:.4f}",
        )
        table.add_row(str(step), str(sum(example.tokens for example in batch)), *numbers)
        if step:
            ours, theirs = ours + mine[0], theirs + other[0]
    table.add_row("1 on", "", f"{ours:.1f}", f"{theirs:.1f}", f"{ours / theirs:.2f}", "", "")
    return table


def main() -> None:
    """Parse the flags, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model(parser)
    parser.add_argument("--steps", type=flag_count, default=5, help="measured steps, after one discarded step")
    parser.add_argument("--batch", type=flag_count, default=WarmUpSpec().batch, help="examples per step")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--padded-dtype", choices=("float32", "bfloat16"), help="default: that of --dtype")
    args = parser.parse_args()
    warm_up = WarmUpSpec(steps=args.steps + 1, batch=args.batch)
    spec = RunSpec(model=ModelSpec(source=args.model, dtype=args.dtype), warm_up=warm_up)
    run_with(CPU.learner_env | CPU.alone_env, "bench.warm_up")
    Console(width=110).print(measure(spec, args.padded_dtype or args.dtype))


if __name__ == "__main__":
    main()

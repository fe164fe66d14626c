"""Time saved by the learner's layers and packed rows on a CPU: forward and backward of four groups.

    python -m bench.learner_step

Same model, LoRA and groups, whose prompts begin with the same tokens; no gradient checkpointing. The variants alternate
in one process with the learner's environment; the table shows the median of each.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from unittest.mock import patch

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from bench.environment import run_with
from bench.flags import add_model
from bench.packing import CHUNK, group
from common.backends import CPU, best_dtype
from common.config import LearnerSpec, ModelSpec
from common.flags import flag_count
from common.models import resolve_model
from learner import attention
from learner.batch import PackedGroup, Row, SharedRow, shared_row
from learner.policy import Policy, base_model, completion_logps, load_policy
from learner.product_attention import products_are_faster
from learner.rows import split

GROUPS = 4


def groups(vocabulary: int, shared: int, prompt: int, completions: int, tokens: int) -> list[PackedGroup]:
    """Groups of random tokens whose prompts differ after the first `shared` ones."""
    one = group(vocabulary, prompt, completions, tokens)
    own = [(one.ids_S[shared:] + number) % vocabulary for number in range(GROUPS)]
    return [replace(one, ids_S=torch.cat([one.ids_S[:shared], ids])) for ids in own]


def unpacked(policy: Policy) -> nn.Module:
    """The policy as torch and peft compute it."""
    from learner.packed_lora import PackedLora

    for module in policy.module.modules():
        if isinstance(module, PackedLora):
            module.packed = None
    base_model(policy.module).get_output_embeddings().__class__ = nn.Linear
    return policy.module


def seconds(module: nn.Module, rows: Sequence[Row]) -> float:
    """Wall time of the forward and backward passes of all rows."""
    started = time.perf_counter()
    for row in rows:
        torch.autograd.backward(completion_logps(module, row, 1.0, CHUNK).sum())
    taken = time.perf_counter() - started
    module.zero_grad()
    return taken


@dataclass(frozen=True)
class Way:
    """One of the variants."""

    label: str
    module: nn.Module
    rows: list[SharedRow]
    sdpa: bool = False  # for attention, where whole products would be chosen

    @property
    def positions(self) -> int:
        """Of all rows."""
        return sum(row.ids_S.numel() for row in self.rows)

    def seconds(self) -> float:
        """As `seconds`."""
        chosen = patch.object(attention, "products_are_faster", lambda _query: False) if self.sdpa else nullcontext()
        with chosen:
            return seconds(self.module, self.rows)


def ways(loaded: Callable[[], Policy], made: Callable[[int], list[PackedGroup]]) -> Iterator[Way]:
    """The variants, the plainest first."""
    plain, policy = unpacked(loaded()), loaded()
    apart = made(policy.config.get_text_config().vocab_size)
    yield Way("torch's and peft's layers, one group per row", plain, [shared_row([one]) for one in apart])
    for size in (1, 2, GROUPS):
        rows = [shared_row(part) for part in split(apart, GROUPS // size)]
        yield Way(f"packed weights, {size} group{'s' if size > 1 else ''} per row", policy.module, rows)
    if products_are_faster(next(policy.module.parameters())):
        yield Way(f"the same, {GROUPS} groups, attention by SDPA", policy.module, rows, sdpa=True)


def measure(variants: Sequence[Way], repeats: int) -> Table:
    """Every variant `repeats` times, alternating, after one discarded round."""
    taken: list[list[float]] = [[] for _ in variants]
    for _ in range(repeats + 1):
        for way, times in zip(variants, taken, strict=True):
            times.append(way.seconds())
    medians = [statistics.median(times[1:]) for times in taken]
    table = Table("", "positions", "seconds", "ratio")
    for way, median in zip(variants, medians, strict=True):
        table.add_row(way.label, str(way.positions), f"{median:.1f}", f"{median / medians[0]:.2f}")
    return table


def main() -> None:
    """Parse the flags, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model(parser)
    parser.add_argument("--prompt", type=flag_count, default=296, help="prompt tokens")
    parser.add_argument("--shared", type=int, default=149, help="of these, tokens that all prompts share")
    parser.add_argument("--completions", type=flag_count, default=8, help="completions per group")
    parser.add_argument("--tokens", type=flag_count, default=54, help="tokens per completion")
    parser.add_argument("--repeats", type=flag_count, default=3, help="measured rounds")
    args = parser.parse_args()
    if not 0 <= args.shared < args.prompt:
        parser.error(f"--shared {args.shared}: write a number from 0 to below --prompt {args.prompt}")
    run_with(CPU.learner_env | CPU.alone_env, "bench.learner_step")
    dtype = best_dtype().name
    folder = resolve_model(ModelSpec(source=args.model, dtype=dtype))

    def loaded() -> Policy:
        return load_policy(folder, LearnerSpec(gradient_checkpointing=False), "cpu", 0, getattr(torch, dtype))

    def made(vocabulary: int) -> list[PackedGroup]:
        return groups(vocabulary, args.shared, args.prompt, args.completions, args.tokens)

    table = measure(list(ways(loaded, made)), args.repeats)
    table.title = f"Forward and backward of {GROUPS} groups, {dtype}"
    Console(width=100).print(table)


if __name__ == "__main__":
    main()

"""Measures systems that only generate: a warm-up, then every measured prompt at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from bench.result import Result
from bench.workload import Workload

MAX_NUM_SEQS = 64
"""Sequences decoded at once, as in our default pool."""

Sample = Callable[[int], Awaitable[int]]
"""Samples the completions of one prompt, given by its index; returns how many tokens they have."""


async def seconds(work: Workload, sample: Sample) -> float:
    """Wall time of all measured completions, each of `work.tokens` tokens."""
    warm = work.warm_steps * work.prompts_per_step
    measured = range(warm, warm + work.steps * work.prompts_per_step)
    await asyncio.gather(*map(sample, range(warm)))
    start = time.perf_counter()
    tokens = sum(await asyncio.gather(*map(sample, measured)))
    taken = time.perf_counter() - start
    assert tokens == work.steps * work.completions_per_step * work.tokens, tokens
    return taken


def result(name: str, work: Workload, prompt_tokens: float, taken: float, gib: float) -> Result:
    """The line of a system that took `taken` seconds."""
    return Result(
        name=name,
        completions=work.steps * work.completions_per_step,
        seconds=taken,
        tokens=work.steps * work.completions_per_step * work.tokens,
        prompt_tokens=prompt_tokens,
        generate_s=taken / work.steps,
        train_s=0.0,
        peak_memory_gib=gib,
    )

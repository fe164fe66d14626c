"""Our engine alone: generation only, without a learner.

    python -m bench.engine_alone workload.json

`actors.engine.Engine` in a Ray actor, called as in a run: chats over Ray, log-probs and policy_versions back. With a
learner an engine uses half of a CPU's cores; here it has all of them, as in an evaluation, and as bare vLLM has.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from actors.engine import Engine
from actors.engine_arguments import environment
from bench import generation
from bench.memory import PeakMemory
from bench.result import ENGINE, Result, emit
from bench.workload import Workload, load, prompt_ids
from common.config import ModelSpec, PoolSpec, RunSpec
from evals.core.engine import MANY_CALLS, local_ray

if TYPE_CHECKING:
    from vllm.sampling_params import SamplingParams


def endless(params: SamplingParams) -> SamplingParams:
    """The same sampling, which only its maximum of tokens ends."""
    params.ignore_eos, params.stop_token_ids = True, []
    return params


class FixedLength(Engine):
    """Continues after an end-of-sequence token, so that it does the same work as the other systems."""

    async def _run(self, prompt_ids: tuple[int, ...], params: Any) -> Any:
        return await super()._run(prompt_ids, endless(params))


def spec_for(work: Workload, longest: int) -> RunSpec:
    """A run of the workload on an engine like bare vLLM's."""
    return RunSpec(
        seed=work.seed,
        model=ModelSpec(source=work.model, dtype=work.dtype, context=max(1024, longest)),
        pools=(PoolSpec(max_num_seqs=generation.MAX_NUM_SEQS),),
    )


async def serve(work: Workload) -> Result:
    """Start the engine, warm it up, then sample every measured completion."""
    ids = prompt_ids(work)
    spec = spec_for(work, max(map(len, ids)) + work.tokens)
    (pool,) = spec.pools
    variables = environment(spec, pool, alone=True)
    options = {"num_cpus": 0, "max_concurrency": MANY_CALLS, "runtime_env": {"env_vars": variables}}
    with PeakMemory() as memory, local_ray():
        handle = ray.remote(FixedLength).options(**options).remote(spec, pool, "bench-0")
        await handle.load.remote(Path(work.model))

        async def sample(index: int) -> int:
            sampled = await handle.generate.remote(work.prompts[index], work.group_size, work.tokens, work.temperature)
            return sum(len(completion.token_ids) for completion in sampled.completions)

        taken = await generation.seconds(work, sample)
        await handle.shutdown.remote()
    return generation.result(ENGINE, work, sum(map(len, ids)) / len(ids), taken, memory.gib)


if __name__ == "__main__":
    emit(asyncio.run(serve(load(Path(sys.argv[1])))))

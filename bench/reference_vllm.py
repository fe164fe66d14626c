"""Bare vLLM: generation only, all measured prompts at once, no training.

python -m bench.reference_vllm workload.json
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from bench.memory import PeakMemory
from bench.result import Result, emit
from bench.workload import Workload, load, prompt_ids

# Read by vllm at import: the cores are shared with nobody here, but the engine must be set up as ours is.
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count() or 1))


async def serve(work: Workload) -> Result:
    """Start an engine, warm it up, then sample every measured completion."""
    from vllm import SamplingParams
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.inputs import TokensPrompt
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine.async_llm import AsyncLLM

    ids = prompt_ids(work)
    longest = max(map(len, ids)) + work.tokens
    with PeakMemory() as memory:
        engine = AsyncLLM.from_engine_args(
            AsyncEngineArgs(
                model=work.model,
                dtype="bfloat16",
                enforce_eager=True,
                max_num_seqs=64,
                max_model_len=max(1024, longest),
                generation_config="vllm",
                seed=work.seed,
            )
        )
        params = SamplingParams(
            n=work.group_size,
            temperature=work.temperature,
            max_tokens=work.tokens,
            ignore_eos=True,
            output_kind=RequestOutputKind.FINAL_ONLY,  # else the last output may lack choices that ended earlier
        )

        async def sample(index: int) -> int:
            count = 0
            async for out in engine.generate(TokensPrompt(prompt_token_ids=ids[index]), params, f"request-{index}"):
                count = sum(len(choice.token_ids) for choice in out.outputs)
            return count

        warm = work.warm_steps * work.prompts_per_step
        await asyncio.gather(*map(sample, range(warm)))
        start = time.perf_counter()
        tokens = sum(await asyncio.gather(*map(sample, range(warm, warm + work.steps * work.prompts_per_step))))
        seconds = time.perf_counter() - start
        engine.shutdown()
    assert tokens == work.steps * work.completions_per_step * work.tokens, tokens
    return Result(
        name="bare vLLM (no training)",
        completions=work.steps * work.completions_per_step,
        seconds=seconds,
        tokens=tokens,
        prompt_tokens=sum(map(len, ids)) / len(ids),
        generate_s=seconds / work.steps,
        train_s=0.0,
        peak_memory_gib=memory.gib,
    )


if __name__ == "__main__":
    emit(asyncio.run(serve(load(Path(sys.argv[1])))))

"""Bare vLLM: generation only, no training.

python -m bench.reference_vllm workload.json
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from bench import generation
from bench.memory import PeakMemory
from bench.result import VLLM, Result, emit
from bench.workload import Workload, load, prompt_ids

# Read by vllm at import. All cores, because nothing shares them; threads are not pinned, as in our engine.
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
                dtype=work.dtype,
                enforce_eager=True,
                max_num_seqs=generation.MAX_NUM_SEQS,
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
            output_kind=RequestOutputKind.FINAL_ONLY,  # otherwise the last output may lack choices that ended earlier
        )

        async def sample(index: int) -> int:
            count = 0
            async for out in engine.generate(TokensPrompt(prompt_token_ids=ids[index]), params, f"request-{index}"):
                count = sum(len(choice.token_ids) for choice in out.outputs)
            return count

        taken = await generation.seconds(work, sample)
        engine.shutdown()
    return generation.result(VLLM, work, sum(map(len, ids)) / len(ids), taken, memory.gib)


if __name__ == "__main__":
    emit(asyncio.run(serve(load(Path(sys.argv[1])))))

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bench.engine_alone import endless

END_OF_TURN, END_OF_SEQUENCE = 7, 2


@pytest.mark.integration
def test_a_completion_of_the_bench_goes_on_after_the_tokens_that_end_one_of_a_run() -> None:
    from vllm.sampling_params import SamplingParams
    from vllm.v1.core.sched.utils import check_stop

    def ends(params: SamplingParams, token: int, tokens: int = 3) -> bool:
        params.update_from_generation_config({}, END_OF_SEQUENCE)
        request = SimpleNamespace(
            pooling_params=None,
            sampling_params=params,
            output_token_ids=[token],
            num_tokens=tokens,
            num_output_tokens=tokens,
            max_tokens=8,
        )
        return check_stop(request, max_model_len=100)  # type: ignore[arg-type]

    for token in (END_OF_TURN, END_OF_SEQUENCE):
        assert ends(SamplingParams(stop_token_ids=[END_OF_TURN]), token)
        assert not ends(endless(SamplingParams(stop_token_ids=[END_OF_TURN])), token)
    assert ends(endless(SamplingParams(stop_token_ids=[END_OF_TURN])), 5, tokens=8)

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.ours import Variant, flags, summarise
from bench.result import ENGINE, TRL, VLLM, Result, parse, remarks, share, show
from bench.workload import Workload
from common.backends.dtype import Name
from common.records import Message
from deploy.cli import parse as parse_command

PROMPTS = ((Message(role="user", content="x"),),) * 6
WORK = Workload(model="m", dtype="float32", prompts=PROMPTS, prompts_per_step=2, group_size=4)


def result(name: str = TRL, seconds: float = 100.0, train_s: float = 2.0) -> Result:
    return Result(
        name=name,
        completions=32,
        seconds=seconds,
        tokens=3200,
        prompt_tokens=300.0,
        generate_s=1.0,
        train_s=train_s,
        peak_memory_gib=3.5,
    )


def row(step: int, seconds: float = 10.0) -> dict[str, float]:
    return {
        "step": step,
        "seconds": seconds,
        "completions": 8,
        "rollout_tokens": 800,
        "learner_tokens": 1400,
        "step_seconds": 6,
    }


def test_a_result_survives_its_own_line_among_other_output() -> None:
    assert parse("noise\n" + result().line() + "\nException ignored in: x\n") == result()


def test_output_without_a_result_is_refused() -> None:
    with pytest.raises(ValueError, match="no result line"):
        parse("nothing here")


def test_the_table_gives_ratios_to_trl(capsys: pytest.CaptureFixture[str]) -> None:
    show([result("MedSeRL, synchronous", seconds=20.0), result()], "float32 on an abacus")
    out = capsys.readouterr().out
    assert "5.00" in out
    assert "float32 on an abacus" in out


def test_lambda_is_the_rate_while_learning_over_that_of_our_engine_alone(capsys: pytest.CaptureFixture[str]) -> None:
    ours, alone = result("MedSeRL, synchronous", 20.0), result(ENGINE, 9.0, train_s=0.0)
    assert share(ours, [ours, alone]) == pytest.approx(0.45)
    show([ours, alone, result()], "")
    out = capsys.readouterr().out
    assert "0.45" in out
    assert "0.09" in out  # TRL's
    assert "over those of MedSeRL's engine alone" in out


def test_who_does_not_learn_has_no_lambda_and_without_our_engine_nobody_has() -> None:
    alone, bare = result(ENGINE, train_s=0.0), result(VLLM, train_s=0.0)
    assert share(bare, [alone, bare]) is None
    assert share(alone, [alone, bare]) is None
    assert share(result(), [bare, result()]) is None
    assert remarks([bare, result()]) == []


def test_our_engine_alone_is_compared_with_bare_vllm() -> None:
    lines = remarks([result(ENGINE, 10.0, train_s=0.0), result(VLLM, 9.7, train_s=0.0)])
    assert lines[-1] == "rollout tokens/s of MedSeRL's engine alone over bare vLLM's: 0.97"


def test_the_first_two_steps_do_not_count() -> None:
    summary = summarise("ours", [row(1, 500), row(2, 500), row(3), row(4)], WORK, 2.0)
    assert (summary.completions, summary.seconds, summary.tokens) == (16, 20.0, 1600)
    assert summary.prompt_tokens == 300.0  # (1400 - 800) tokens of prompts in two groups a step


def test_a_run_of_only_warm_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="the first 2 are discarded; ask for more"):
        summarise("ours", [row(1), row(2)], WORK, 2.0)


def test_steps_take_their_own_prompts() -> None:
    prompts = tuple((Message(role="user", content=str(i)),) for i in range(6))
    work = Workload(model="m", dtype="float32", prompts=prompts, prompts_per_step=2)
    assert work.step_prompts(1) == prompts[2:4]


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_our_loop_computes_in_the_workloads_dtype(dtype: Name, tmp_path: Path) -> None:
    work = msgspec.structs.replace(WORK, dtype=dtype)
    given = flags(work, "bundled", Variant(max_lag=1, scribe=True), tmp_path)
    assert parse_command(["deploy/laptop.yaml", *given]).spec.model.dtype == dtype
    assert work.bf16 == (dtype == "bfloat16")


def test_our_loop_gets_the_batch_and_the_lengths_of_the_workload(tmp_path: Path) -> None:
    spec = parse_command(
        ["deploy/laptop.yaml", *flags(WORK, "bundled", Variant(max_lag=0, scribe=False), tmp_path)]
    ).spec
    assert (spec.learner.batch_groups, spec.sampling.group_size, spec.sampling.max_tokens) == (2, 4, 96)
    assert (spec.buffer.max_lag, spec.warm_up.steps, spec.steps, spec.runs) == (0, 0, 4, tmp_path)
    assert (spec.name, spec.envs[0].data.proposer_tries) == ("bench-lag0", 0)

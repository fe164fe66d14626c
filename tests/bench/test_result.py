from __future__ import annotations

from pathlib import Path

import pytest

from bench.ours import Variant, flags, summarise
from bench.result import Result, parse, show
from bench.workload import Workload
from common.records import Message
from deploy.cli import parse as parse_command

WORK = Workload(model="m", prompts=((Message(role="user", content="x"),),) * 6, prompts_per_step=2, group_size=4)


def result(name: str = "TRL GRPOTrainer", seconds: float = 100.0) -> Result:
    return Result(
        name=name,
        completions=32,
        seconds=seconds,
        tokens=3200,
        prompt_tokens=300.0,
        generate_s=1.0,
        train_s=2.0,
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
    show([result("MedSeRL, synchronous", seconds=20.0), result()])
    assert "5.00" in capsys.readouterr().out


def test_the_first_two_steps_do_not_count() -> None:
    summary = summarise("ours", [row(1, 500), row(2, 500), row(3), row(4)], WORK, 2.0)
    assert (summary.completions, summary.seconds, summary.tokens) == (16, 20.0, 1600)
    assert summary.prompt_tokens == 300.0  # (1400 - 800) tokens of prompts in two groups a step


def test_a_run_of_only_warm_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="ask for more steps"):
        summarise("ours", [row(1), row(2)], WORK, 2.0)


def test_steps_take_their_own_prompts() -> None:
    prompts = tuple((Message(role="user", content=str(i)),) for i in range(6))
    work = Workload(model="m", prompts=prompts, prompts_per_step=2)
    assert work.step_prompts(1) == prompts[2:4]


def test_our_loop_gets_the_batch_and_the_lengths_of_the_workload(tmp_path: Path) -> None:
    spec = parse_command(
        ["deploy/laptop.yaml", *flags(WORK, "bundled", Variant(max_lag=0, scribe=False), tmp_path)]
    ).spec
    assert (spec.learner.batch_groups, spec.sampling.group_size, spec.sampling.max_tokens) == (2, 4, 96)
    assert (spec.buffer.max_lag, spec.warm_up.steps, spec.steps, spec.runs) == (0, 0, 4, tmp_path)
    assert (spec.name, spec.data.proposer_tries) == ("bench-lag0", 0)

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from bench.heldout import Outcome, tasks
from bench.learns import Learnt, accuracy, arguments, bootstrap, both_right, draw, gains, largest_lag, show
from deploy.cli import load
from envs.contradiction.environment import SEEN_PAIR, UNSEEN_PAIR, Contradiction
from envs.contradiction.spec import ContradictionSettings


def outcomes(right: int, count: int = 40) -> tuple[Outcome, ...]:
    """`count` tasks in twins, every second vignette of unseen pairs; the first `right` are right."""
    return tuple(
        Outcome(
            part=UNSEEN_PAIR if index // 2 % 2 else SEEN_PAIR,
            vignette=str(index // 2),
            right=index < right,
            reward=1.1 if index < right else -1.5,
        )
        for index in range(count)
    )


def learnt(seed: int, max_lag: int, after: int) -> Learnt:
    return Learnt(
        seed=seed,
        max_lag=max_lag,
        before=outcomes(20),
        after=outcomes(after),
        accuracy=(0.5, 0.7, 0.9),
        reward=(-0.2, 0.1, 0.7),
        lag=max_lag,
        minutes=1.5,
    )


def test_gains_are_paired_by_vignette_and_kept_by_seed() -> None:
    by_seed = gains([learnt(0, 0, 40), learnt(1, 0, 20)])
    assert by_seed == {0: [0.0] * 10 + [1.0] * 10, 1: [0.0] * 20}
    assert len(gains([learnt(0, 0, 40)], UNSEEN_PAIR)[0]) == 10


def test_two_modes_of_a_seed_are_one_cluster() -> None:
    assert gains([learnt(0, 0, 40), learnt(0, 1, 20)]) == {0: [0.0] * 10 + [0.5] * 10}


def test_one_seed_that_falls_back_widens_the_interval_below_zero() -> None:
    mean, lower, upper = bootstrap({0: [0.4] * 20, 1: [-0.3] * 20, 2: [0.1] * 20})
    assert lower < 0 < mean < upper


def test_seeds_that_all_gain_keep_the_interval_above_zero() -> None:
    mean, lower, upper = bootstrap(gains([learnt(seed, lag, 36) for seed in range(3) for lag in (0, 1)]))
    assert mean == pytest.approx(0.4)
    assert 0 < lower < mean < upper < 1


def test_the_table_names_every_run_and_returns_the_pooled_lower_bound() -> None:
    text = io.StringIO()
    results = [learnt(seed, lag, 36) for seed in range(3) for lag in (0, 1)]
    assert show(results, Console(file=text, width=160)) == bootstrap(gains(results))[1]
    printed = text.getvalue()
    assert printed.count("0.50 -> 0.90 [0.77, 0.96]") == 6
    assert printed.count("-0.20 -> +0.70") == 0 and printed.count("+0.20 -> +0.20") == 6  # means of three steps
    assert "gain, pooled: all +0.400" in printed


def test_accuracy_of_a_part_counts_that_part_only() -> None:
    assert accuracy(outcomes(2), SEEN_PAIR)[0] == 0.1
    assert accuracy(outcomes(2), UNSEEN_PAIR)[0] == 0.0


def test_a_constant_reply_has_no_vignette_with_both_twins_right() -> None:
    constant = [Outcome(part=SEEN_PAIR, vignette=str(i // 2), right=i % 2 == 1, reward=0.1) for i in range(8)]
    assert (accuracy(constant)[0], both_right(constant)) == (0.5, 0.0)
    assert both_right(outcomes(20)) == 0.5


def test_the_plot_is_drawn(tmp_path: Path) -> None:
    draw([learnt(0, 0, 40), learnt(0, 1, 36)], tmp_path / "new" / "learns.png")
    assert (tmp_path / "new" / "learns.png").stat().st_size > 10_000


def test_the_largest_lag_is_read_from_every_step(tmp_path: Path) -> None:
    from pyarrow import Table, parquet

    (tmp_path / "rollouts").mkdir()
    for step, lags in enumerate(([0, 0], [0, 1], [0, 0]), start=1):
        parquet.write_table(Table.from_pydict({"policy_lag": lags}), tmp_path / "rollouts" / f"step-{step:05d}.parquet")
    assert largest_lag(tmp_path) == 1


def test_held_out_tasks_are_twins_of_both_parts_and_never_of_training() -> None:
    env = Contradiction(ContradictionSettings(), 0)
    made = tasks(env, 16)
    parts = [env.part_of(task.task) for task in made]
    assert parts.count(SEEN_PAIR) == parts.count(UNSEEN_PAIR) == 8
    assert all(task.task.split == "heldout" for task in made)


def test_the_spec_of_the_bench_trains_every_weight_and_publishes_them_exactly() -> None:
    spec = load(Path("deploy/learns.yaml"))
    assert (spec.envs[0].id, spec.model.source, spec.model.dtype) == ("contradiction", "tiny", "float32")
    assert spec.learner.lora_rank == 0


def test_paths_are_read_as_people_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    given = arguments(["--spec=~/a b [1].yaml", "--runs=~/my runs", "--out=~/a b.png"])
    assert given.spec == tmp_path / "a b [1].yaml"
    assert (given.runs, given.out) == (tmp_path / "my runs", tmp_path / "a b.png")

"""The threads of a learner rank's process, by the run's spec."""

from __future__ import annotations

import os

import pytest

from common.config import RunSpec
from deploy import cli
from learner.rank_actor import environment, spare_threads

CORES = os.cpu_count() or 1


def spec(*flags: str) -> RunSpec:
    return cli.parse(["laptop", *flags]).spec


@pytest.mark.parametrize("lag", [0, 1])
def test_a_rank_alone_on_its_machine_may_take_all_cores(lag: int) -> None:
    one = spec("--buffer.max_lag", str(lag))
    assert int(environment(one)["OMP_NUM_THREADS"]) + spare_threads(one, 1) == CORES


def test_a_synchronous_run_has_no_cores_to_spare() -> None:
    assert spare_threads(spec("--buffer.max_lag", "0"), 1) == 0


def test_ranks_that_share_a_machine_take_none_of_each_other() -> None:
    assert spare_threads(spec(), 2) == 0


def test_on_a_gpu_there_are_no_threads_to_choose() -> None:
    one = cli.parse(["deploy/rtx4090.yaml"]).spec
    assert spare_threads(one, 1) == 0
    assert "OMP_NUM_THREADS" not in environment(one)

"""Fixtures of the learner's tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest
import torch

from common.backends import CPU
from tests.learner.rank_cases import free_address


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """These models are too small to share: threads would wait for each other, and for the tests that run beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package")
def rendezvous() -> Iterator[str]:
    """One process group for all learners of this process: DeepSpeed holds on to the first one that it meets.

    What it writes into the environment must not reach the processes that other tests start.
    """
    with patch.dict(os.environ, CPU.learner_env):
        yield free_address()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()

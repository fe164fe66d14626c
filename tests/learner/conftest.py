"""Fixtures of the learner's tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest
import torch

from common.backends import CPU
from tests.learner.rank_cases import free_address


@pytest.fixture(scope="package")
def rendezvous() -> Iterator[str]:
    """One process group for all learners of this process: DeepSpeed holds on to the first one that it meets.

    What it writes into the environment must not reach the processes that other tests start.
    """
    with patch.dict(os.environ, CPU.learner_env):
        yield free_address()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()

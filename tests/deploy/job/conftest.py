"""Fixtures of the tests of runs in one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deploy.job.run_world import faked


@pytest.fixture(scope="module")
def fakes() -> Iterator[None]:
    """Actors that are none, for a module that asks for it by `usefixtures`."""
    with faked():
        yield

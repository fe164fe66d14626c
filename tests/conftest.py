"""Fixtures that several folders share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from common.config import ModelSpec
from common.models import resolve_model
from envs.verdict.medec import load_notes

settings.register_profile("no deadline", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("no deadline")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make test` uses two processes: integration tests take turns in one, and the others run beside them."""
    for item in items:
        if item.get_closest_marker("integration"):
            item.add_marker(pytest.mark.xdist_group("one heavy thing at a time"))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny model (Gemma3 text, seeded, random), its tokenizer trained on the bundled notes."""
    cache = tmp_path_factory.mktemp("models")
    return resolve_model(
        ModelSpec(source="tiny", cache=cache), lambda: [" ".join(note.sentences) for note in load_notes("bundled")]
    )

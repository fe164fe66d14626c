"""Fixtures that several folders share."""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from common.config import ModelSpec
from common.models import resolve_model
from envs.verdict.medec import load_notes

settings.register_profile("no deadline", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("no deadline")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in a hook of its own, which would come first
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make test` uses two processes; a module takes turns, and so do a folder's integration tests."""
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            folder, module = item.path.parent.name, item.path.stem
            heavy = item.get_closest_marker("integration")
            item.add_marker(pytest.mark.xdist_group(folder if heavy else f"{folder}/{module}"))


def pytest_collection_finish() -> None:
    """What is imported by now stays: a full round of the garbage collector through torch takes half a second."""
    gc.freeze()
    atexit.register(gc.unfreeze)


@pytest.fixture(scope="session", autouse=True)
def power() -> Iterator[None]:
    """Never lost here, so this process need not wait for the disk: half of what the journal's tests would take."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny model (Gemma3 text, seeded, random), its tokenizer trained on the bundled notes."""
    cache = tmp_path_factory.mktemp("models")
    return resolve_model(
        ModelSpec(source="tiny", dtype="float32", cache=cache),
        lambda: [" ".join(note.sentences) for note in load_notes("bundled")],
    )

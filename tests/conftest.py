"""Fixtures that several folders share."""

from __future__ import annotations

import atexit
import functools
import gc
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler.loadscope import LoadScopeScheduling

# Read when numpy is imported. Two processes share two cores: threads of one would wait, busily, for those of the other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from common.config import ModelSpec
from common.models import resolve_model
from envs.verdict.data.medec import load_notes

ROOT = Path(__file__).parents[1]
LONGEST = (
    "tests/learner",
    "tests/actors",
    *(
        f"tests/deploy/test_{name}.py"
        for name in (
            "nodes",
            "faults",
            "runs",
            "one_name",
            "users_day",
            "mid_sync",
            "resumed_run",
            "broadcast_run",
            "mixture_run",
        )
    ),
    "tests/deploy/test_scribe_training.py",
    "tests/deploy/test_verifier_run.py",
    "tests/deploy/cluster/test_placement.py",
    "tests/examples/test_sums.py",
    "tests/envs/conformance/test_check.py",
)
"""Scopes whose tests take a minute or more, in the order in which they begin."""

# Ray gives its workers a low priority. Beside the tests of the other process they would get no core for so long that
# they are taken for dead.
os.environ.setdefault("RAY_worker_niceness", "0")

FAST = "not integration"
"""The expression that selects the fast part."""

# No deadline: a busy machine is no fault of the code. `--hypothesis-profile thorough` looks longer than every run can.
settings.register_profile("fast part", deadline=None, max_examples=10)
settings.register_profile("suite", deadline=None, max_examples=30)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    """The fast part tries fewer examples of a property than the whole suite; each run tries others."""
    if config.getoption("markexpr") == FAST and not config.getoption("--hypothesis-profile"):
        settings.load_profile("fast part")


class _Turns(LoadScopeScheduling):
    """`make test` uses two processes. What shares a scope runs in one of them: the tests of a module; those of all
    modules that compute with models, of the learner too, whose code imports them when it needs them, because importing
    transformers and peft costs a process ten seconds; and those of all modules that start engines in this process, for
    the same reason. The longest begin first (`pytest_collection_modifyitems`, kept by `--no-loadscope-reorder`), so
    that both end together.

    Not by `--dist loadgroup`: xdist 3.8 writes its groups into node ids, where pytest 9.2 does not read them.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _scope(Path(nodeid.partition("::")[0]))


@functools.cache
def _scope(module: Path) -> str:
    text, folder = (ROOT / module).read_text(), str(Path(*module.parts[:2]))
    models = r"openrlhf|import (peft|transformers)|from (peft|transformers|\S+(tiny_models|chat_families))"
    if folder == "tests/learner" or re.search(models, text):
        return "tests/learner"
    return folder if folder == "tests/actors" and "pytest.mark.integration" in text else str(module)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, then modules with other integration tests; the order of the others stays."""
    integration = {item.path for item in items if item.get_closest_marker("integration")}

    def rank(item: pytest.Item) -> int:
        scope = _scope(item.path.relative_to(ROOT))
        return LONGEST.index(scope) if scope in LONGEST else len(LONGEST) + (item.path not in integration)

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Who runs what, and when."""
    return _Turns(config, log)


def pytest_collection_finish() -> None:
    """What is imported by now stays: a full round of the garbage collector through torch takes half a second."""
    gc.freeze()
    atexit.register(gc.unfreeze)
    if "torch" in sys.modules:  # the models of the tests are too small to share
        sys.modules["torch"].set_num_threads(1)


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

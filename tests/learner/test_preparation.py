from __future__ import annotations

import random
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from common.config import ModelSpec, PoolSpec, RunSpec, WarmUpSpec
from common.records import LabelledTask, Rejection
from envs.contract.env import Complete, Slot
from learner import examples as learner_examples
from learner import preparation, warm_up
from learner.bounds import BOUNDS
from learner.preparation import Preparation, Progress, demonstrated, seconds_left
from tests.actors.fake_env import FakeEnv, labelled_task


class Teaching(FakeEnv):
    """Refuses every third slot, and what the model would have to write."""

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        if slot.index % 3 == 2:
            return Rejection(source=slot.source, reason="no_edit")
        assert (await complete((), 8)).truncated, "there is no model yet"
        return labelled_task(slot.index)


class Refusing(FakeEnv):
    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        return Rejection(source=slot.source, reason="no_edit")


class FakeTokenizer:
    def __init__(self, prompt: int) -> None:
        self.prompt = prompt

    def apply_chat_template(self, chat: Any) -> tuple[int, ...]:
        return (1,) * self.prompt

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        assert not add_special_tokens
        return [2] * len(text)


class FakeBridge:
    end_of_turn = 99

    def __init__(self, tokenizer: FakeTokenizer) -> None:
        self.prompt = tokenizer.apply_chat_template
        self.reply = partial(tokenizer.encode, add_special_tokens=False)


class World:
    """A preparation whose model, tokenizer and training are stand-ins."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, prompt: int, context: int) -> None:
        self.examples: list[Any] = []
        self.outcome: Any = SimpleNamespace(steps=3, heldout_loss_before=2.0, heldout_loss_after=0.5)
        self.trains = True
        spec = RunSpec(model=ModelSpec(dtype="float32", context=context), warm_up=WarmUpSpec(steps=3, batch=2))
        self.preparation = Preparation(spec, Teaching())
        tokenizer = SimpleNamespace(from_pretrained=lambda _: FakeTokenizer(prompt))
        monkeypatch.setattr(preparation, "resolve_model", lambda model, texts: folder)
        monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(AutoTokenizer=tokenizer))
        monkeypatch.setattr(learner_examples, "Bridge", FakeBridge)
        monkeypatch.setattr(warm_up, "warmed_model", self._warmed)
        monkeypatch.setattr(warm_up, "report", lambda _: self.outcome)

    def _warmed(self, spec: RunSpec, folder: Path, examples: list[Any], progress: Any) -> Path:
        self.examples = examples
        if self.trains:
            progress(3, 0.75)
        return folder / "warmed"


async def test_demonstrations_pass_over_what_the_environment_refuses() -> None:
    tasks = await demonstrated(Teaching(), 6)
    assert [task.task.task_id for task in tasks] == [f"task-{index}" for index in (0, 1, 3, 4, 6, 7)]


async def test_notes_of_which_no_task_can_be_made_are_one_line() -> None:
    with pytest.raises(ValueError, match="no task could be made: give the game more sources"):
        await demonstrated(Refusing(), 4)


def test_preparation_warms_up_and_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world = World(monkeypatch, tmp_path, prompt=10, context=1024)
    assert world.preparation.progress().phase == "resolving the model"
    prepared = world.preparation.run()
    assert prepared.model_folder == tmp_path / "warmed"
    assert prepared.warm_up == "3 steps, held-out loss 2.00 -> 0.50 in 0 s"
    progress = world.preparation.progress()
    assert (progress.phase, progress.done, progress.total, progress.loss) == ("warming up", 3, 3, 0.75)
    assert len(world.examples) == 8 and world.examples[0].completion_ids == (2,) * len("reply") + (99,)
    assert prepared.probe.canary_ids == (1,) * 10 + (2,) * 5 + (99,)
    assert prepared.probe.prompt_ids == (1,) * 10
    assert prepared.probe.max_tokens == len("reply") + 1, "what is sampled fits where the demonstration did"


@pytest.mark.parametrize(("model", "folder"), [(None, "warmed"), ("base", ""), ("another", "another")])
def test_the_verifier_has_the_weights_that_its_pool_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: str | None, folder: str
) -> None:
    world = World(monkeypatch, tmp_path, prompt=10, context=1024)
    frozen = PoolSpec(name="frozen", serves=("verifier",), model=model)
    spec = world.preparation._spec
    world.preparation._spec = spec.model_copy(update={"pools": (*spec.pools, frozen)})
    monkeypatch.setattr(
        preparation,
        "resolve_model",
        lambda model, texts=None: tmp_path / ("another" if model.source == "another" else ""),
    )
    assert world.preparation.run().verifier_folder == tmp_path / folder


def test_a_cached_and_a_skipped_warm_up_are_reported_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world = World(monkeypatch, tmp_path, prompt=10, context=1024)
    world.trains = False
    assert world.preparation.run().warm_up == "3 steps, held-out loss 2.00 -> 0.50 (from the cache)"
    world.outcome = None
    assert world.preparation.run().warm_up == "skipped"


@pytest.mark.parametrize(("prompt", "context", "canary"), [(500, 1024, BOUNDS["float32"].canary_tokens), (58, 64, 63)])
def test_the_canary_leaves_room_for_the_token_that_an_engine_must_sample(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, prompt: int, context: int, canary: int
) -> None:
    world = World(monkeypatch, tmp_path, prompt=prompt, context=1024)
    world.preparation._spec = RunSpec.model_construct(
        **{**dict(world.preparation._spec), "model": ModelSpec(dtype="float32", context=context)}
    )
    assert len(world.preparation.run().probe.canary_ids) == canary


def test_a_context_into_which_no_example_fits_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world = World(monkeypatch, tmp_path, prompt=2000, context=1024)
    with pytest.raises(ValueError, match=r"fit model.context 1024: raise it, or have the game"):
        world.preparation.run()


def test_what_is_left_follows_from_the_steps_after_the_first() -> None:
    assert seconds_left([], 60) is None and seconds_left([70.0], 60) is None
    assert seconds_left([70.0, 74.0, 76.0], 13) == 30.0
    assert seconds_left([70.0, 74.0], 2) == 0.0


@pytest.mark.parametrize(
    ("progress", "detail"),
    [
        (Progress(phase="resolving the model"), ""),
        (Progress(phase="writing demonstrations", total=480), "0/480"),
        (Progress(phase="warming up", done=1, total=60, loss=2.5), "1/60, loss 2.50"),
        (
            Progress(phase="warming up", done=12, total=60, loss=1.234, seconds_left=130),
            "12/60, loss 1.23, about 2 min left",
        ),
        (
            Progress(phase="warming up", done=57, total=60, loss=1.0, seconds_left=41),
            "57/60, loss 1.00, about 40 s left",
        ),
    ],
)
def test_a_preparation_says_in_one_line_how_far_it_is(progress: Progress, detail: str) -> None:
    assert progress.detail == detail

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from common.config import RunSpec
from common.records import EndReason, Episode, Label, LabelledTask, Message, Reply, Reward
from envs.contract import registry
from envs.contract.env import Ask, Done, State, Turn
from learner import own_replies
from learner.examples import Example, fitting
from learner.own_replies import Kept, balanced, own_examples
from learner.preparation import Preparation
from tests.actors.fake_env import FakeEnv, labelled_task
from tests.learner.test_warm_up import model_folder as model_folder


def example(number: int) -> Example:
    return Example(prompt_ids=(number,), completion_ids=(number,), group=str(number))


SHOWN = [example(number) for number in range(8)]
KINDS = ["clean", "found"] * 4


def test_a_kind_that_is_got_right_less_often_is_filled_up_with_demonstrations() -> None:
    right = [example(10 + at) if at in (0, 2, 4, 1) else None for at in range(8)]
    kept = balanced(right, SHOWN, KINDS)
    assert (kept.asked, kept.right, kept.filled) == (8, 4, 2)
    kinds = [KINDS[one.prompt_ids[0] % 10] for one in kept.examples]
    assert kinds.count("clean") == kinds.count("found") == 3
    assert str(kept) == "4 of 8 own replies right, 2 demonstrations for kinds with fewer"


def test_where_no_reply_is_right_nothing_is_trained_on() -> None:
    assert balanced([None] * 8, SHOWN, KINDS) == Kept(examples=(), asked=8, right=0, filled=0)


class Scripted:
    """Stands in for a model: row by row it writes what it is told to, and ends with 99 unless it is cut off."""

    device = "cpu"

    def __init__(self, *rounds: list[list[int]]) -> None:
        self.rounds = list(rounds)
        self.seen: list[list[int]] = []

    def generate(self, input_ids: Any, attention_mask: Any, generation_config: Any) -> Any:
        self.seen += [row[mask == 1].tolist() for row, mask in zip(input_ids, attention_mask, strict=True)]
        assert generation_config.do_sample and not generation_config.top_k and generation_config.top_p == 1.0
        rows = self.rounds.pop(0)
        longest = max(map(len, rows))
        written = torch.tensor([row + [99] * (longest - len(row)) for row in rows])
        return torch.cat([input_ids, written], dim=1)


class Letters:
    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        return " ".join(map(str, ids))


class Chat:
    """Stands in for the chat template: prompts are 1, and 2 is what stands between two turns."""

    end_of_turn = 99

    def prompt(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        return (1,) * len(messages[0].content.split())

    def suffix(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        return (2,)


class TwoTurns(FakeEnv):
    """Right is who ends with 7; who says 5 asks another model."""

    def begin(self, task: Any) -> tuple[State, Turn]:
        return 0, Turn(messages=(Message(role="user", content="a b" if task.task_id == "task-0" else "a b c"),))

    def advance(self, state: State, action: str, replies: tuple[Reply, ...] = ()) -> tuple[State, Turn | Ask | Done]:
        if action == "5":
            return 1, Ask(role="scribe", messages=(), max_tokens=8)
        return (1, Turn(messages=(Message(role="user", content="more"),))) if state == 0 else (2, Done())

    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        total = 1.0 if episode.actions[-1] == "7" else -1.0
        return Reward(components={}, total=total, reason="found", solved=total > 0)


def turns_task(number: int) -> LabelledTask:
    import msgspec

    one = labelled_task(number)
    limits = msgspec.structs.replace(one.task.limits, max_turns=2)
    return msgspec.structs.replace(one, task=msgspec.structs.replace(one.task, limits=limits))


def test_episodes_are_played_in_step_and_end_where_a_reply_is_cut_off_or_another_model_is_asked() -> None:
    env: Any = TwoTurns()
    group = [own_replies._Playing(env, Chat(), turns_task(number)) for number in range(4)]  # type: ignore[arg-type]
    model = Scripted([[3, 99], [4, 99], [5, 99], [6, 6]], [[7, 99], [8, 99]])
    own_replies._play(RunSpec(), model, Letters(), 99, group)
    assert model.seen == [[1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 3, 99, 2], [1, 1, 1, 4, 99, 2]]
    assert [one.episode and one.episode.actions for one in group] == [("3", "7"), ("4", "8"), None, None]
    assert group[0].episode is not None and group[0].episode.reason == EndReason.SUBMITTED
    assert group[0].example.completion_ids == (3, 99, 2, 7, 99) and group[0].example.observed == ((2, 3),)


def spec_for(cache: Path, own: int, steps: int) -> RunSpec:
    return RunSpec.model_validate(
        {
            "model": {"source": "tiny", "cache": cache, "dtype": "float32", "context": 256},
            "envs": [{"id": "contradiction"}],
            "warm_up": {"steps": steps, "batch": 8, "own": own, "learning_rate": 1e-3},
            "sampling": {"max_tokens": 40},
        }
    )


@pytest.mark.integration
def test_own_replies_are_sampled_once_kept_and_trained_on(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, own=24, steps=30)
    env = registry.environment_of(spec.settled.envs, spec.seed)
    first, again = Preparation(spec, env).run(), Preparation(spec, env).run()
    assert "of 24 own replies right" in first.warm_up
    assert first.model_folder == again.model_folder and "(from the cache)" in again.warm_up
    plain = Preparation(spec_for(tmp_path, own=0, steps=30), env).run()
    assert "(from the cache)" in plain.warm_up, "the demonstrations are learnt once for both"


@pytest.mark.integration
def test_what_is_kept_is_right_and_the_same_each_time(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, own=0, steps=150)
    env = registry.environment_of(spec.settled.envs, spec.seed)
    folder = Preparation(spec, env).run().model_folder
    import asyncio

    from learner.preparation import demonstrated

    pairs = fitting(spec, env, folder, asyncio.run(demonstrated(env, 32)))
    tasks, shown = [task for task, _ in pairs], [example for _, example in pairs]
    kept = own_examples(spec, env, folder, tasks, shown, lambda done: None)
    assert kept == own_examples(spec, env, folder, tasks, shown, lambda done: pytest.fail("sampled again"))
    assert kept.right > 0
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    by_prompt = {one.prompt_ids: task for task, one in pairs}
    for one in kept.examples[: kept.right]:
        task, text = by_prompt[one.prompt_ids], tokenizer.decode(one.completion_ids[:-1], skip_special_tokens=True)
        episode = Episode(task_id=task.task.task_id, actions=(text,), reason=EndReason.SUBMITTED)
        best = env.score(
            Episode(
                task_id=task.task.task_id,
                actions=(env.oracle(task, random.Random(0))(env.begin(task.task)[1]),),
                reason=EndReason.SUBMITTED,
            ),
            task.label,
        )
        assert env.score(episode, task.label).total >= own_replies.RIGHT * best.total
